"""Take the pictures of the web page that README and docs/web-page.md show.

``python tools/page_pictures.py`` serves the page, does a job in Chromium on a clip of the sample
and writes ``docs/images/web-page.jpg`` and ``web-page-phone.jpg``, and the whole job step by step
as ``web-page-job.webp``. Look at them before you keep them.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from vos.datasets import open_dataset
from vos.demo import Serving, start

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CLIP = "table"
OBJECTS = (2, 3)  # ids in the sample
CORRECTED = 20  # frame of the film that is clicked on again
ROOM = 3  # pixels that a hand leaves around an object
PATIENCE = 300_000  # milliseconds


def surrounding(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a mask in shares of the frame, with some room."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    left, right = (columns.min() - ROOM) / width, (columns.max() + 1 + ROOM) / width
    return left, (rows.min() - ROOM) / height, right, (rows.max() + 1 + ROOM) / height


def open_clip(page: Any) -> Any:
    """Open the clip; return the canvas that shows its first frame."""
    page.wait_for_selector("#start")
    page.click("#example input")
    page.click(f"[role=option]:has-text('{CLIP}')")
    page.click("#open-example")
    canvas = page.locator("#canvas canvas[data-index]")
    canvas.wait_for(state="visible")
    return canvas


def mark(page: Any, boxes: list[tuple[float, float, float, float]]) -> None:
    """Open the clip and draw a box around each object."""
    canvas = open_clip(page)
    page.click("#canvas [data-tool=box]")
    for number, (left, top, right, bottom) in enumerate(boxes):
        if number:
            page.click("#add")
            page.wait_for_selector(f"#canvas :text('Object {number + 1}')")
        canvas.scroll_into_view_if_needed()
        sheet = canvas.bounding_box()
        x, y, width, height = (sheet[key] for key in ("x", "y", "width", "height"))
        before = canvas.get_attribute("data-serial")
        page.mouse.move(x + left * width, y + top * height)
        page.mouse.down()
        page.mouse.move(x + right * width, y + bottom * height, steps=4)
        page.mouse.up()
        page.wait_for_selector(f"#canvas canvas[data-waiting='0']:not([data-serial='{before}'])")


def inner_points(mask: np.ndarray, count: int) -> list[tuple[float, float]]:
    """Return points of a mask in shares of the frame: each the innermost, far from those before."""
    room = mask.astype(np.uint8)
    points = []
    for _ in range(count):
        depth = cv2.distanceTransform(np.pad(room, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        points.append(((x + 0.5) / mask.shape[1], (y + 0.5) / mask.shape[0]))
        cv2.circle(room, (int(x), int(y)), max(2, int(depth.max())), 0, -1)
    return points


class Film:
    """The whole job, a picture of each step."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.pictures: list[Image.Image] = []
        self.canvas = page.locator("#canvas canvas[data-index]")

    def take(self) -> None:
        """Keep a picture of what is seen."""
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.pictures.append(shot.resize((960, 960 * shot.height // shot.width), Image.LANCZOS))

    def press(self, tool: str, *places: tuple[float, float]) -> None:
        """Take up a tool, press at the first place of the frame and let go at the last."""
        self.page.click(f"#canvas [data-tool={tool}]")
        sheet, before = self.canvas.bounding_box(), self.canvas.get_attribute("data-serial")
        for number, (x, y) in enumerate(places):
            self.page.mouse.move(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"])
            if number == 0:
                self.page.mouse.down()
        self.page.mouse.up()
        answered = f"[data-waiting='0']:not([data-serial='{before}'])"
        self.page.wait_for_selector(f"#canvas canvas{answered}")
        self.take()

    def propagate(self) -> None:
        """Propagate, and look once on the way."""
        self.page.click("#propagate")
        self.page.wait_for_selector("#status progress")
        self.take()
        self.page.wait_for_selector("#status :text('frames in')")
        self.take()

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        field = self.page.locator("#frame input[type=number]")
        field.fill(str(frame))
        field.press("Enter")
        self.page.wait_for_selector(f"#frame :text('Frame {frame} of')")

    def download(self) -> None:
        """Have a file made."""
        self.page.click("#prepare")
        self.page.wait_for_selector("#status :text('is ready')")
        self.page.locator("#prepare").scroll_into_view_if_needed()
        self.take()

    def save(self, path: Path) -> None:
        """Write the pictures as one that moves, the last one for longer."""
        first, *others = self.pictures
        times = [1200] * len(others) + [4000]
        first.save(path, save_all=True, append_images=others, duration=times, loop=0, quality=60)


def do_the_job(page: Any, masks: list[np.ndarray]) -> Film:
    """Open a clip, click on an object thrice, propagate, correct it once, propagate, download.

    Args:
        masks: (H, W) bool, where the object is on each frame.
    """
    film = Film(page)
    page.wait_for_selector("#start")
    film.take()
    open_clip(page)
    film.take()
    for place in inner_points(masks[0], 3):
        film.press("points", place)
    film.propagate()
    film.go_to(CORRECTED)
    film.take()
    film.press("points", *inner_points(masks[CORRECTED], 1))
    film.propagate()
    film.download()
    return film


def main() -> None:
    """Take all pictures."""
    sequence = open_dataset("sample", sequences=[CLIP]).sequences[0]
    mask = sequence.mask(0)
    boxes = [surrounding(mask == object_id) for object_id in OBJECTS]
    with start(Serving(device="cpu")) as serving, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )

        def visit(width: int, height: int, **options: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(serving.url)
            return page

        def opened(width: int, height: int, **options: Any) -> Any:
            page = visit(width, height, **options)
            mark(page, boxes)
            page.click("#propagate")
            return page

        page = opened(1280, 900)
        page.wait_for_function("document.querySelector('#status progress')?.value > 20")
        page.screenshot(path=IMAGES / "web-page.jpg", type="jpeg", quality=85)
        page.context.close()
        page = opened(390, 844, color_scheme="dark", has_touch=True, device_scale_factor=2)
        page.wait_for_selector("#status :text('Look through them')")
        page.locator("#titlebar").scroll_into_view_if_needed()
        page.screenshot(path=IMAGES / "web-page-phone.jpg", type="jpeg", quality=80)
        page.context.close()
        masks = [sequence.mask(index) == OBJECTS[0] for index in range(len(sequence.frame_paths))]
        do_the_job(visit(1280, 900), masks).save(IMAGES / "web-page-job.webp")
        browser.close()


if __name__ == "__main__":
    main()
