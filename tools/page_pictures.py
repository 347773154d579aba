"""Take the pictures of the web page that README and docs/web-page.md show.

``python tools/page_pictures.py`` serves the page, does a job in Chromium on a clip of the sample
and writes ``docs/images/web-page.jpg`` and ``web-page-phone.jpg``. Look at them before you keep
them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from vos.datasets import open_dataset
from vos.demo import Serving, start

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CLIP = "table"
OBJECTS = (2, 3)  # ids in the sample
PATIENCE = 300_000  # milliseconds


def innermost(mask: np.ndarray) -> tuple[float, float]:
    """Return (x, y) in shares of the frame: the point of a mask furthest from its border."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (x + 0.5) / mask.shape[1], (y + 0.5) / mask.shape[0]


def mark(page: Any, places: list[tuple[float, float]]) -> None:
    """Open the clip and click on each object."""
    page.wait_for_selector("#start")
    page.click("#example input")
    page.click(f"[role=option]:has-text('{CLIP}')")
    page.click("#open-example")
    canvas = page.locator("#canvas canvas[data-index]")
    canvas.wait_for(state="visible")
    page.click("#canvas [data-tool=points]")
    for number, (x, y) in enumerate(places):
        if number:
            page.click("#add")
            page.wait_for_selector(f"#canvas :text('Object {number + 1}')")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_selector("#canvas canvas[data-clicks='1'][data-waiting='0']")


def main() -> None:
    """Take both pictures."""
    sequence = open_dataset("sample", sequences=[CLIP]).sequences[0]
    places = [innermost(sequence.mask(0) == object_id) for object_id in OBJECTS]
    with start(Serving(device="cpu")) as serving, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )

        def opened(width: int, height: int, **options: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(serving.url)
            mark(page, places)
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
