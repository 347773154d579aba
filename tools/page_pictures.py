"""Take the pictures of the web page that README and docs/web-page.md show.

``python tools/page_pictures.py`` serves the page, does jobs in Chromium on a clip of the sample and
writes ``docs/images/web-page.jpg``, ``web-page-phone.jpg`` and ``web-page-job.webp``, a film of a
whole job. Look at them before you keep them.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from points_protocol import innermost, next_click

from vos.datasets import Sequence, open_dataset
from vos.demo import Serving, start
from vos.segmentation import make_extractor
from vos.segmentation.interactive import Click, InteractiveFrame
from vos.settings import DEFAULT_MODEL

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CLIP = "table"
OBJECTS = (2, 3)  # ids in the sample
ROOM = 3  # pixels that a hand leaves around an object
FINISHED = "#status :text('Look through them')"
PATIENCE = 300_000  # milliseconds


def surrounding(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a mask in shares of the frame, with some room."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    left, right = (columns.min() - ROOM) / width, (columns.max() + 1 + ROOM) / width
    return left, (rows.min() - ROOM) / height, right, (rows.max() + 1 + ROOM) / height


def three_clicks(image: np.ndarray, mask: np.ndarray) -> list[tuple[tuple[float, float], bool]]:
    """Return x and y, in shares of the frame, of clicks that each correct the largest error.

    Args:
        mask: (H, W) bool, the object.

    Returns:
        Each with whether it adds.
    """
    frame = InteractiveFrame(image, make_extractor(DEFAULT_MODEL))
    clicks = [Click(*innermost(mask))]
    for _ in range(2):
        click = next_click(frame.mask(clicks), mask)
        clicks += [] if click is None else [click]
    height, width = mask.shape
    return [(((c.x + 0.5) / width, (c.y + 0.5) / height), c.adds) for c in clicks]


def open_clip(page: Any) -> Any:
    """Open the clip; return its canvas."""
    page.wait_for_selector("#start")
    page.click("#example input")
    page.click(f"[role=option]:has-text('{CLIP}')")
    page.click("#open-example")
    canvas = page.locator("#canvas canvas[data-index]")
    canvas.wait_for(state="visible")
    return canvas


def click_at(page: Any, canvas: Any, place: tuple[float, float], adds: bool) -> None:
    """Click on a place, in shares of the frame, and wait for the mask."""
    sheet, before = canvas.bounding_box(), canvas.get_attribute("data-serial")
    page.mouse.click(
        sheet["x"] + place[0] * sheet["width"],
        sheet["y"] + place[1] * sheet["height"],
        button="left" if adds else "right",
    )
    page.wait_for_selector(f"#canvas canvas[data-waiting='0']:not([data-serial='{before}'])")


def film(page: Any, sequence: Sequence, object_id: int) -> None:
    """Do a job with one object, click by click, and write what the page showed."""
    shots: list[tuple[Image.Image, int]] = []

    def shoot(milliseconds: int) -> None:
        shots.append((Image.open(io.BytesIO(page.screenshot())).convert("RGB"), milliseconds))

    page.wait_for_selector("#start")
    page.wait_for_selector("#problem", state="hidden")
    shoot(1500)
    canvas = open_clip(page)
    page.click("#canvas [data-tool=points]")
    for place, adds in three_clicks(sequence.frame(0), sequence.mask(0) == object_id):
        click_at(page, canvas, place, adds)
        shoot(1000)
    page.click("#propagate")
    page.wait_for_selector(f"#status progress, {FINISHED}")
    for done in (10, 40, 70):
        page.wait_for_function(
            f"(document.querySelector('#status progress')?.value ?? 100) > {done}"
        )
        shoot(700)
    page.wait_for_selector(FINISHED)
    shoot(1500)
    page.click("#correct-next")
    page.wait_for_selector("#canvas canvas[data-waiting='0']:not([data-index='0'])")
    shoot(1500)
    at = int(canvas.get_attribute("data-index"))
    (place, adds), *_ = three_clicks(sequence.frame(at), sequence.mask(at) == object_id)
    click_at(page, canvas, place, adds)
    shoot(1200)
    page.click("#propagate")
    page.wait_for_selector(FINISHED)
    shoot(1200)
    page.click("#prepare")
    page.wait_for_selector("#status :text('is ready')")
    page.locator("#file").scroll_into_view_if_needed()
    shoot(2500)
    first, *others = [shot.resize((960, 675), Image.Resampling.LANCZOS) for shot, _ in shots]
    first.save(
        IMAGES / "web-page-job.webp",
        save_all=True,
        append_images=others,
        duration=[milliseconds for _, milliseconds in shots],
        loop=0,
        quality=70,
    )


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


def main() -> None:
    """Take the pictures and the film."""
    sequence = open_dataset("sample", sequences=[CLIP]).sequences[0]
    first = sequence.mask(0)
    boxes = [surrounding(first == object_id) for object_id in OBJECTS]
    with start(Serving(device="cpu")) as serving, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )

        def opened(width: int, height: int, **options: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(serving.url)
            return page

        page = opened(1280, 900)
        film(page, sequence, OBJECTS[0])
        page.context.close()
        page = opened(1280, 900)
        mark(page, boxes)
        page.click("#propagate")
        page.wait_for_selector(f"#status progress, {FINISHED}")
        page.wait_for_function("(document.querySelector('#status progress')?.value ?? 100) > 20")
        page.screenshot(path=IMAGES / "web-page.jpg", type="jpeg", quality=85)
        page.context.close()
        page = opened(390, 844, color_scheme="dark", has_touch=True, device_scale_factor=2)
        mark(page, boxes)
        page.click("#propagate")
        page.wait_for_selector(FINISHED)
        page.locator("#titlebar").scroll_into_view_if_needed()
        page.screenshot(path=IMAGES / "web-page-phone.jpg", type="jpeg", quality=80)
        browser.close()


if __name__ == "__main__":
    main()
