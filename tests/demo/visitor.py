"""A person at the page, as short words."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from vos.demo.downloads import FORMATS

CANVAS = "#canvas canvas"
PATIENCE = 180_000  # milliseconds; machines that run tests may be busy


_contexts: dict[tuple[int, str], Any] = {}  # tabs of one share what was fetched and compiled


def shared_context(browser: Any, options: dict[str, Any]) -> Any:
    """A context of a browser for all who want these options; tabs keep their sessions apart."""
    key = (id(browser), repr(sorted(options.items())))
    if key not in _contexts:
        _contexts[key] = browser.new_context(**options)
        _contexts[key].set_default_timeout(PATIENCE)
    return _contexts[key]


class Visitor:
    """One tab of a browser on the page."""

    def __init__(
        self, browser: Any, url: str, *, width: int = 1280, height: int = 1000, **options: Any
    ):
        self.context = shared_context(browser, options)
        self.page = self.context.new_page()
        self.page.set_viewport_size({"width": width, "height": height})
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.waits_for("#start, #work, #problem .error")
        assert not self.page.is_visible("#problem .error"), self.page.inner_text("#problem")

    def close(self) -> None:
        self.page.close()

    def waits_for(self, selector: str) -> None:
        """Wait until something is seen; where it never is, say what is."""
        from playwright.sync_api import TimeoutError as TooLate

        try:
            self.page.wait_for_selector(selector)
        except TooLate as error:
            seen = self.page.inner_text("body")
            raise AssertionError(
                f"{selector} is not seen, but:\n{seen}\n{self.errors}\n{self.requests[-5:]}"
            ) from error

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#upload input[type=file]", path)

    def see_workspace(self) -> None:
        self.page.wait_for_selector(f"{CANVAS}[data-index]", state="visible")

    def tool(self, name: str) -> None:
        self.page.click(f"#canvas [data-tool]:has-text('{name}')")

    def canvas_says(self, name: str) -> str:
        """What the canvas tells about itself: index, serial, tool, zoom, waiting."""
        return str(self.page.get_attribute(CANVAS, f"data-{name}"))

    def wait_until_taken_in(self) -> None:
        """Until the server has answered all that was drawn."""
        self.page.wait_for_selector(f"{CANVAS}[data-waiting='0']")

    def paint(self, mask: np.ndarray, *, radius: int = 10, step: int = 9) -> None:
        """Go to and fro over a (H, W) bool region with a brush of ``radius`` pixels."""
        self.set_brush(radius)
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
        for stroke in strokes:
            self.drag(stroke, mask.shape)
        self.wait_until_taken_in()

    def set_brush(self, radius: int) -> None:
        self.page.locator("#canvas .size input").fill(str(radius))

    def drag(
        self, places: list[tuple[float, float]], shape: tuple[int, ...], *, button: str = "left"
    ) -> None:
        """Press at the first place (x, y) of the frame, go through the others, let go."""
        self.page.mouse.move(*self.place(*places[0], shape))
        self.page.mouse.down(button=button)
        for place in places[1:]:
            self.page.mouse.move(*self.place(*place, shape))
        self.page.mouse.up(button=button)

    def click_frame(
        self, x: float, y: float, shape: tuple[int, ...], *, button: str = "left"
    ) -> None:
        self.drag([(x, y)], shape, button=button)

    def place(self, x: float, y: float, shape: tuple[int, ...]) -> tuple[float, float]:
        """Where a pixel of the frame is on the screen, unless it is zoomed into."""
        box = self.page.locator(CANVAS).bounding_box()
        scale = box["width"] / shape[1]
        return box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale

    def add_object(self) -> None:
        """Another object, in hand."""
        serial = self.canvas_says("serial")
        self.page.click("#add")
        self.page.wait_for_selector(f"{CANVAS}:not([data-serial='{serial}'])")

    def go_to(self, frame: int) -> None:
        field = self.page.locator("#frame input[type=number]")
        field.fill(str(frame))
        field.press("Enter")
        self.page.wait_for_selector(f"#frame :text('Frame {frame} of')")

    def says(self, text: str) -> None:
        self.waits_for(f":is(#status, #problem) :text('{text}')")

    def upload_mask(self, path: Path, *, marked: bool = True) -> None:
        if not self.page.is_visible("#mask-file"):
            self.page.click("#marking button:has-text('Marks of this frame')")
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
        assert label in page.input_value("#format input")
        page.click("#prepare")
        ending = next(each.ending for each in FORMATS.values() if label in each.label)
        self.says(f"-{ending} is ready")  # not what was made before it
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
