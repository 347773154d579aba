"""The strips and playing in a browser: which object is lost where, and the pace of the video."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from visitor import CANVAS, Visitor

from vos.media import open_video

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install playwright"
)
pytestmark = pytest.mark.slow
LOST = {1: 7, 2: 4}  # the frame at which each object is lost


@pytest.fixture
def anna(browser, running, clip):
    """Someone whose propagation is done: Object 2 is the worst, and hidden."""
    visitor = Visitor(browser, running.url)
    visitor.upload(clip.path)
    visitor.see_workspace()
    session = list(running.store._sessions.values())[-1]
    session.annotate(0, clip.masks[0])
    session.objects.change(2, name="cup", visible=False, locked=True)
    for index in range(1, 10):
        sure = {1: 0.12 if index == LOST[1] else 0.95, 2: 0.1 if index == LOST[2] else 0.9}
        session.clip.work._store.write_mask(index, clip.masks[index], sure)
    visitor.page.reload()
    visitor.see_workspace()
    visitor.page.wait_for_selector("#strip .line >> nth=1")
    visitor.session = session
    yield visitor
    assert visitor.errors == []
    visitor.close()


def colour(visitor: Visitor, line: int, index: float) -> tuple[int, ...]:
    """What a strip shows of a frame, 8 pixels below its upper edge: (red, green, blue, alpha)."""
    return tuple(
        visitor.page.evaluate(
            """([line, index]) => {
              const strip = document.querySelectorAll('#strip canvas')[line];
              const x = Math.floor((index + 0.3) / 10 * strip.width);
              return [...strip.getContext('2d').getImageData(x, 8, 1, 1).data];
            }""",
            [line, index],
        )
    )


def test_each_object_is_red_where_it_is_lost(anna):
    for line, lost in enumerate(LOST.values()):
        red, green, _, alpha = colour(anna, line, lost)
        assert red > 2 * green and alpha == 255
        for index in set(range(1, 10)) - {lost}:
            assert colour(anna, line, index)[3] == 0, "where it is sure, the strip is low"
    cup = anna.page.get_by_role("button", name="cup, hidden, locked: least sure at frame 4, 10 %")
    assert cup.count() == 1
    middle = 0.2  # of frame 0, beside which the others are looked at
    assert colour(anna, 0, middle)[2] > 200, "blue where it is marked"


def test_the_next_frame_to_correct_is_that_of_the_worst_object(anna):
    anna.page.keyboard.press("n")
    anna.says("cup is in hand, least sure at frame 4, 10 %")
    anna.page.wait_for_selector(f"{CANVAS}[data-index='4']")
    assert anna.session.active == 2
    button = anna.page.locator("#strip [data-object='1']")
    button.focus()
    anna.page.keyboard.press("Enter")
    anna.page.wait_for_selector(f"{CANVAS}[data-index='7']")
    anna.says("Object 1 is in hand, least sure at frame 7, 12 %")
    assert anna.session.active == 1
    assert button.evaluate("button => button === document.activeElement"), "focus stays"
    box = anna.page.locator("#strip canvas >> nth=1").bounding_box()
    anna.page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + box["height"] / 2)
    anna.page.wait_for_selector(f"{CANVAS}[data-index='2']")
    here = anna.page.locator("#strip .here").bounding_box()
    assert abs(here["x"] + 1.5 - box["x"] - 0.25 * box["width"]) < 3


def test_playing_keeps_the_pace_of_the_video(anna):
    anna.page.evaluate(
        """() => {
          window.shown = [];
          new MutationObserver(() => {
            const index = Number(document.querySelector('#canvas canvas').dataset.index);
            if (index !== window.shown.at(-1)?.[1]) window.shown.push([performance.now(), index]);
          }).observe(document.querySelector('#canvas canvas'),
                     {attributes: true, attributeFilter: ['data-index']});
        }"""
    )
    anna.page.focus(CANVAS)
    anna.page.keyboard.press(" ")
    anna.page.wait_for_selector("#frame :text('Frame 9 of')")
    anna.page.wait_for_selector("#play:text('Play')")
    times, indices = zip(*anna.page.evaluate("window.shown"), strict=True)
    assert list(indices) == sorted(set(indices)) and indices[-1] == 9
    assert (times[-1] - times[0]) / 1000 > (indices[-1] - indices[0]) / 12 - 0.05, "too fast"
    assert anna.session.position == 9
    anna.page.click("#play")  # from the start again
    anna.page.wait_for_selector("#play:text('Pause')")
    anna.page.click("#play")
    anna.page.wait_for_selector("#play:text('Play')")
    paused = int(anna.canvas_says("index"))
    anna.page.wait_for_selector(f"#frame :text('Frame {paused} of')")
    assert anna.canvas_says("index") == str(paused), "it stays where it was paused"


def test_another_video_asks_first_and_no_frame_lies_beyond_the_last(anna):
    field = anna.page.locator("#frame input[type=number]")
    field.fill("9999")
    field.press("Enter")
    anna.page.wait_for_selector("#frame :text('Frame 9 of')")
    asked = []

    def answer(dialog):
        asked.append(dialog.message)
        dialog.accept() if len(asked) > 1 else dialog.dismiss()

    anna.page.on("dialog", answer)
    anna.page.click("#close")
    assert asked == ["Leave this video? Its marks and masks are removed."]
    assert anna.session.has_mask(5) and anna.page.is_visible("#work")
    anna.page.click("#close")
    anna.page.wait_for_selector("#start", state="visible")
    assert not anna.session.has_clip


def test_nothing_runs_out_of_the_panel_of_a_tablet(anna):
    anna.page.set_viewport_size({"width": 820, "height": 1180})
    anna.page.click("#objects label >> nth=1")
    name = anna.page.locator("#name input, #name textarea")
    playwright.expect(name).to_have_value("cup")  # what is typed before would be typed over
    name.fill("a cup with a name that goes on and on and on " * 2)
    name.press("Enter")
    anna.page.wait_for_selector("#objects :text('on and on')")
    wide = anna.page.evaluate(
        """() => {
          const panel = document.querySelector('#panel').getBoundingClientRect();
          return [...document.querySelectorAll('#panel *')].filter(each =>
            each.checkVisibility() && each.getBoundingClientRect().width &&
            each.getBoundingClientRect().right > panel.right + 1
          ).map(each => each.outerHTML.slice(0, 100));
        }"""
    )
    assert wide == []
    assert anna.page.evaluate("document.documentElement.scrollWidth") <= 820


def test_a_picture_of_ones_own_goes_behind_the_objects(anna, clip, tmp_path):
    Image.new("RGB", (64, 40), (20, 40, 200)).save(tmp_path / "sea.png")
    page = anna.page
    assert not page.is_visible("#background")
    page.click("#format input")
    page.click("[role=option]:has-text('Before a picture')")
    page.click("#prepare")
    anna.says("Choose a picture for the background first")
    page.set_input_files("#background input[type=file]", tmp_path / "sea.png")
    anna.says("sea.png goes behind the objects")
    page.click("#prepare")
    anna.says("is ready")
    with page.expect_download() as download:
        page.click("#file a[download], #file a")
    video = open_video(download.value.path().rename(tmp_path / "made.mp4"))
    behind = np.median(video[3][clip.masks[3] == 0].astype(int), axis=0)
    assert np.abs(behind - (20, 40, 200)).max() < 12
