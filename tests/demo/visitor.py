"""A person at the page, as short words."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

PATIENCE = 180_000  # milliseconds; machines that run tests may be busy


class Visitor:
    """One tab of a browser on the page."""

    def __init__(
        self, browser: Any, url: str, *, width: int = 1280, height: int = 1000, **options: Any
    ):
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("#start, #work")

    def close(self) -> None:
        self.context.close()

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#upload input[type=file]", path)

    def see_workspace(self) -> None:
        self.page.wait_for_selector("#viewer img")

    def tool(self, name: str) -> None:
        self.page.click(f"#tool label:has-text('{name}')")

    def start_painting(self) -> None:
        self.tool("Brush")
        self.wait_for_editor()

    def wait_for_editor(self) -> None:
        """Until the editor lets one paint."""
        self.page.wait_for_selector("#easel[data-ready]:not(.away) #editor canvas")

    def paint(self, mask: np.ndarray, *, radius: int = 10, step: int = 9) -> None:
        """Go to and fro over a (H, W) bool region with a brush of ``radius`` pixels."""
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        core = cv2.erode(mask.astype(np.uint8), brush)
        strokes: list[list[tuple[int, int]]] = [[]]
        for number, y in enumerate(range(int(np.nonzero(core)[0].min()), len(core), step)):
            edges = np.flatnonzero(np.diff(np.r_[0, core[y].astype(int), 0])).reshape(-1, 2)
            runs = [[(left, y), (right - 1, y)] for left, right in edges.tolist()]
            runs.sort(key=lambda run: run[0][0] - run[1][0])  # longest first
            for longest in runs[:1]:
                strokes[0] += longest[:: -1 if number % 2 else 1]
            strokes += runs[1:]
        box = self._frame_box(mask.shape)
        for stroke in strokes:
            self.page.mouse.move(*self._place(box, *stroke[0]))
            self.page.mouse.down()
            for point in stroke[1:]:
                self.page.mouse.move(*self._place(box, *point))
            self.page.mouse.up()
        self.page.wait_for_timeout(300)

    def add_object(self) -> None:
        """Another object, with its brush in hand."""
        colour = "() => document.querySelector('#editor [aria-label=Color]').style.color"
        before = self.page.evaluate(colour)
        self.page.click("#add")
        self.page.wait_for_function(f"before => ({colour})() !== before", arg=before)

    def _frame_box(self, shape: tuple[int, ...]) -> tuple[float, float, float]:
        """Left, top and scale of the frame inside the editor's canvas."""
        canvas = self.page.locator("#editor canvas").first.bounding_box()
        zoom = int(self.page.inner_text("#editor").split("%")[0].split()[-1]) / 100
        left = canvas["x"] + (canvas["width"] - shape[1] * zoom) / 2
        top = canvas["y"] + (canvas["height"] - shape[0] * zoom) / 2
        return left, top, zoom

    @staticmethod
    def _place(box: tuple[float, float, float], x: float, y: float) -> tuple[float, float]:
        return box[0] + (x + 0.5) * box[2], box[1] + (y + 0.5) * box[2]

    def click_frame(self, x: float, y: float, shape: tuple[int, int]) -> None:
        self.page.wait_for_timeout(700)
        self.page.wait_for_function(
            "() => { const i = document.querySelector('#viewer img');"
            " return i && i.complete && i.naturalWidth > 0; }"
        )
        box = self.page.locator("#viewer img").bounding_box()
        scale = min(box["width"] / shape[1], box["height"] / shape[0])
        left = box["x"] + (box["width"] - scale * shape[1]) / 2
        top = box["y"] + (box["height"] - scale * shape[0]) / 2
        self.page.mouse.click(left + (x + 0.5) * scale, top + (y + 0.5) * scale)

    def go_to(self, frame: int) -> None:
        field = self.page.locator("#frame input[type=number]")
        field.fill(str(frame))
        field.press("Enter")
        self.page.wait_for_selector(f"#frame :text('Frame {frame} of')")

    def says(self, text: str) -> None:
        self.page.wait_for_selector(f":is(#status, #problem) :text('{text}')")

    def upload_mask(self, path: Path, *, marked: bool = True) -> None:
        if not self.page.is_visible("#mask-file"):
            self.page.click("#marking button:has-text('Marking tools')")
        self.page.set_input_files("#mask-file input[type=file]", path)
        if marked:
            self.says("is marked")

    def choose_model(self, name: str) -> None:
        self.page.click("#settings button:has-text('Model')")
        self.page.click("#model input")
        self.page.click(f"[role=option]:has-text('{name}')")

    def propagate(self) -> None:
        self.page.click("#propagate")

    def download(self, label: str) -> Path:
        page = self.page
        page.click("#format input")
        page.click(f"[role=option]:has-text('{label}')")
        page.click("#prepare")
        self.says("is ready")
        with page.expect_download() as download:
            page.click("#file a[download], #file a")
        return Path(download.value.path())


def masks_in(archive: Path) -> list[np.ndarray]:
    """The (H, W) masks of a zip of palette PNGs, in order."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".png"))
        return [np.array(Image.open(io.BytesIO(opened.read(name)))) for name in names]


def jaccard(ours: np.ndarray, exact: np.ndarray) -> float:
    union = (ours | exact).sum()
    return 1.0 if union == 0 else float((ours & exact).sum() / union)
