"""Take the pictures of the web page that README and docs/web-page.md show.

``python tools/page_pictures.py`` serves the page, does a job in Chromium on a clip of the sample
and writes ``docs/images/web-page.jpg`` and ``web-page-phone.jpg``. Look at them before you keep
them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from vos.datasets import open_dataset
from vos.demo import Serving, start

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CLIP = "table"
OBJECTS = (2, 3)  # ids in the sample
ROOM = 3  # pixels that a hand leaves around an object
PATIENCE = 300_000  # milliseconds


def surrounding(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a mask in shares of the frame, with some room."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    left, right = (columns.min() - ROOM) / width, (columns.max() + 1 + ROOM) / width
    return left, (rows.min() - ROOM) / height, right, (rows.max() + 1 + ROOM) / height


def mark(page: Any, boxes: list[tuple[float, float, float, float]]) -> None:
    """Open the clip and draw a box around each object."""
    page.wait_for_selector("#start")
    page.click("#example input")
    page.click(f"[role=option]:has-text('{CLIP}')")
    page.click("#open-example")
    canvas = page.locator("#canvas canvas[data-index]")
    canvas.wait_for(state="visible")
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
    """Take both pictures."""
    sequence = open_dataset("sample", sequences=[CLIP]).sequences[0]
    mask = sequence.mask(0)
    boxes = [surrounding(mask == object_id) for object_id in OBJECTS]
    with start(Serving(device="cpu")) as serving, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )

        def opened(width: int, height: int, **options: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(serving.url)
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
        browser.close()


if __name__ == "__main__":
    main()
