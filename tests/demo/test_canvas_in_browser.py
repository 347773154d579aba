"""The canvas in a browser, by mouse, wheel, keyboard and finger."""

from __future__ import annotations

import numpy as np
import pytest
from visitor import CANVAS, Visitor

from vos.media import VideoWriter, write_mask

pytestmark = pytest.mark.slow


@pytest.fixture
def open_clip(browser, running, clip):
    """Open the clip in a tab of some kind."""
    visitors = []

    def opened(**options) -> Visitor:
        visitor = Visitor(browser, running.url, **options)
        visitors.append(visitor)
        visitor.upload(clip.path)
        visitor.see_workspace()
        return visitor

    yield opened
    for visitor in visitors:
        assert visitor.errors == []
        visitor.close()


def mask_of(running, index=0):
    """What the server holds of the session that was opened last."""
    return list(running.store._sessions.values())[-1].mask(index)


def test_brush_eraser_undo_and_redo(open_clip, running, clip):
    anna, shape = open_clip(), clip.masks[0].shape
    anna.page.keyboard.press("b")
    assert anna.canvas_says("tool") == "brush"
    anna.set_brush(6)
    anna.drag([(40, 50), (90, 50)], shape)
    anna.drag([(40, 80), (90, 80)], shape)
    anna.wait_until_taken_in()
    both = mask_of(running)
    assert both[50, 60] == both[80, 60] == 1 and both[65, 60] == 0
    assert abs((both > 0).sum() - 2 * (50 * 12 + 113)) < 120
    anna.drag([(60, 40), (60, 60)], shape, button="right")
    anna.wait_until_taken_in()
    assert mask_of(running)[50, 60] == 0, "the right button erases"
    for key, expected in (("Control+z", (1, 1)), ("Control+z", (1, 0)), ("Control+y", (1, 1))):
        serial = anna.canvas_says("serial")
        anna.page.keyboard.press(key)
        anna.page.wait_for_selector(f"{CANVAS}:not([data-serial='{serial}'])")
        mask = mask_of(running)
        assert (mask[50, 60], mask[80, 60]) == expected, "one stroke at a time"
    anna.page.keyboard.press("e")
    anna.drag([(30, 50), (100, 50)], shape)
    anna.wait_until_taken_in()
    assert not mask_of(running)[50].any() and mask_of(running)[80, 60] == 1


def test_wheel_and_keys_set_size_and_zoom(open_clip, clip):
    anna, shape = open_clip(), clip.masks[0].shape
    size = anna.page.locator("#canvas .size input")
    anna.page.mouse.move(*anna.place(160, 90, shape))
    anna.page.mouse.wheel(0, -400)
    anna.page.wait_for_selector(f"{CANVAS}[data-zoom='2.72']")
    anna.page.keyboard.press("0")
    assert anna.canvas_says("zoom") == "1.00"
    anna.page.keyboard.press("b")
    anna.set_brush(10)
    anna.page.keyboard.press("]")
    assert size.input_value() == "12"
    anna.page.mouse.wheel(0, 100)
    anna.page.wait_for_function("document.querySelector('#canvas .size input').value === '10'")
    assert anna.canvas_says("zoom") == "1.00"
    anna.page.keyboard.press("+")
    assert anna.canvas_says("zoom") == "1.50"


def test_a_stroke_lands_where_it_is_drawn_when_zoomed_and_moved(open_clip, running, clip):
    anna, shape = open_clip(), clip.masks[0].shape
    centre = anna.place(160, 90, shape)
    anna.page.mouse.move(*centre)
    anna.page.mouse.wheel(0, -400)  # about the pixel (160, 90)
    anna.page.wait_for_selector(f"{CANVAS}[data-zoom='2.72']")
    anna.page.mouse.down()
    anna.page.mouse.move(centre[0] + 90, centre[1] + 30, steps=4)  # it moves with the hand
    anna.page.mouse.up()
    anna.page.keyboard.press("b")
    anna.set_brush(3)
    anna.page.mouse.move(centre[0] + 90, centre[1] + 30)
    anna.page.mouse.down()
    anna.page.mouse.up()
    anna.wait_until_taken_in()
    rows, columns = np.nonzero(mask_of(running))
    assert abs(rows.mean() - 90) < 1 and abs(columns.mean() - 160) < 1


def test_points_add_and_take_away(open_clip, running, clip):
    anna, shape = open_clip(), clip.masks[0].shape
    rows, columns = np.nonzero(clip.masks[0] == 1)
    x, y = int(np.median(columns)), int(np.median(rows))
    anna.page.keyboard.press("p")
    anna.click_frame(x, y, shape)
    anna.wait_until_taken_in()
    assert mask_of(running)[y, x] == 1
    anna.click_frame(5, 5, shape, button="right")
    anna.wait_until_taken_in()
    assert mask_of(running)[5, 5] == 0 and mask_of(running)[y, x] == 1
    anna.page.click("#undo")
    anna.says("Undone on frame 0")
    anna.page.click("#undo")
    anna.page.wait_for_selector(f"{CANVAS}[data-clicks='0']")
    assert not mask_of(running).any()


def test_a_locked_object_stays(open_clip, running, clip):
    anna, shape = open_clip(), clip.masks[0].shape
    anna.tool("Brush")
    anna.set_brush(8)
    anna.drag([(40, 50), (90, 50)], shape)
    anna.wait_until_taken_in()
    first = mask_of(running) == 1
    anna.page.check("#locked input")
    anna.add_object()
    anna.drag([(40, 55), (90, 55)], shape)
    anna.wait_until_taken_in()
    np.testing.assert_array_equal(mask_of(running) == 1, first)
    assert (mask_of(running) == 2).any()


def test_tools_by_keyboard_alone(open_clip):
    anna = open_clip()
    anna.page.focus("#canvas [data-tool=box]")
    anna.page.keyboard.press(" ")
    assert anna.canvas_says("tool") == "box"
    assert anna.page.get_attribute("#canvas [data-tool=box]", "aria-pressed") == "true"
    anna.page.focus("#visible input")
    anna.page.keyboard.press(" ")
    anna.page.wait_for_selector("#objects :text('(hidden)')")
    assert "Pause" not in anna.page.inner_text("#play")


def test_what_has_the_focus_is_seen(open_clip):
    anna = open_clip()
    for part, ring in (
        ("#canvas [data-tool=box]", "#canvas [data-tool=box]"),
        ("#objects input[type=radio]", "#objects label:has(input:focus)"),
        ("#direction input[type=radio] >> nth=0", "#direction label:has(input:focus)"),
        ("#strip .line button", "#strip .line button"),
    ):
        anna.page.focus(part)
        anna.page.keyboard.press("Shift")  # whoever presses keys wants to see where they go
        style = "node => getComputedStyle(node).outlineStyle + getComputedStyle(node).outlineWidth"
        assert anna.page.eval_on_selector(ring, style) == "solid3px", part


@pytest.mark.parametrize("width, height", [(1280, 900), (390, 844)])
def test_frame_and_timeline_fit_the_window(open_clip, width, height):
    anna = open_clip(width=width, height=height)
    anna.page.locator(CANVAS).scroll_into_view_if_needed()
    sheet = anna.page.locator(CANVAS).bounding_box()
    strip = anna.page.locator("#transport").bounding_box()
    assert sheet["width"] <= width and abs(sheet["width"] / sheet["height"] - 320 / 180) < 0.02
    assert strip["y"] + strip["height"] - sheet["y"] < height
    assert anna.page.evaluate("document.documentElement.scrollWidth") <= width


def test_fingers(open_clip, running, clip):
    """One paints, two zoom and do not paint."""
    anna = open_clip(width=390, height=844, has_touch=True)
    anna.page.locator(CANVAS).scroll_into_view_if_needed()
    assert "keys" not in anna.page.inner_text("#canvas .hint"), "a telephone has none"
    anna.tool("Brush")
    anna.set_brush(8)
    shape = clip.masks[0].shape
    touch = anna.context.new_cdp_session(anna.page)

    def fingers(kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", anna.place(60, 60, shape))
    fingers("touchMove", anna.place(100, 60, shape))
    fingers("touchEnd")
    anna.wait_until_taken_in()
    painted = mask_of(running)
    assert painted[60, 80] == 1
    a, b = anna.place(150, 100, shape), anna.place(170, 100, shape)
    fingers("touchStart", a)
    fingers("touchStart", a, b)
    fingers("touchMove", (a[0] - 20, a[1]), (b[0] + 20, b[1]))
    fingers("touchEnd")
    assert float(anna.canvas_says("zoom")) > 1.5
    assert anna.canvas_says("waiting") == "0"
    np.testing.assert_array_equal(mask_of(running), painted)


def test_keys_choose_objects_and_explain_themselves(open_clip, running):
    anna = open_clip()
    anna.add_object()
    anna.page.focus(CANVAS)
    anna.page.keyboard.press("1")
    anna.page.wait_for_selector("#canvas .hint:text('Go to a frame')")
    anna.page.keyboard.press("b")
    anna.page.wait_for_selector("#canvas .hint:text('Paint Object 1')")
    anna.page.keyboard.press("l")
    anna.page.wait_for_selector("#locked input:checked")
    anna.page.keyboard.press("?")
    anna.page.wait_for_selector("#canvas dialog :text('Choose an object')")
    anna.page.keyboard.press("2")
    anna.page.keyboard.press("Escape")
    anna.page.wait_for_selector("#canvas dialog", state="hidden")
    assert anna.page.is_checked("#objects input >> nth=0"), "no key works behind it"
    anna.page.focus("#objects input >> nth=0")
    anna.page.keyboard.press("ArrowDown")
    anna.page.wait_for_selector("#canvas .hint:text('Paint Object 2')")
    assert anna.canvas_says("index") == "0", "arrows choose where there is something to choose"


def test_fast_steps_are_not_walked_one_by_one(open_clip, running):
    anna = open_clip()
    views = list(running.store._sessions.values())[-1].views
    before = next(views)
    anna.page.evaluate("for (let i = 0; i < 20; i++) document.getElementById('forth').click()")
    anna.page.wait_for_selector(f"{CANVAS}[data-index='9']")
    anna.page.wait_for_timeout(500)
    assert anna.canvas_says("index") == "9"
    assert next(views) - before < 6
    anna.page.click("#back")
    anna.page.wait_for_selector(f"{CANVAS}[data-index='8']")


def test_a_portrait_video_fits_the_window(browser, running, tmp_path):
    with VideoWriter(tmp_path / "tall.mp4", fps=10, size=(854, 480)) as writer:
        for shade in (60, 90):
            writer.write(np.full((854, 480, 3), shade, np.uint8))
    anna = Visitor(browser, running.url, width=1280, height=900)
    anna.upload(tmp_path / "tall.mp4")
    anna.see_workspace()
    sheet = anna.page.locator(CANVAS).bounding_box()
    strip = anna.page.locator("#transport").bounding_box()
    assert sheet["height"] > 440 and strip["y"] + strip["height"] < 900
    anna.close()


def test_an_error_is_closed_and_moves_nothing(open_clip):
    anna = open_clip()
    before = anna.page.locator(CANVAS).bounding_box()
    anna.propagate()
    anna.says("Mark an object on a frame first")
    assert anna.page.locator(CANVAS).bounding_box() == before
    anna.page.click("#problem [data-dismiss]")
    anna.page.wait_for_selector("#problem .error", state="hidden")


def test_a_project_is_saved_and_opened_in_another_tab(open_clip, browser, running, tmp_path, clip):
    anna, shape = open_clip(), clip.masks[0].shape
    anna.tool("Brush")
    anna.set_brush(8)
    anna.drag([(40, 50), (90, 50)], shape)
    anna.wait_until_taken_in()
    painted = mask_of(running)
    project = anna.download("Project").rename(tmp_path / "table-project.zip")
    bert = Visitor(browser, running.url)
    bert.page.set_input_files("#project input[type=file]", project)
    bert.see_workspace()
    bert.says("The project is open")
    assert "my-table" in bert.page.inner_text("#title")
    np.testing.assert_array_equal(mask_of(running), painted)
    files = [tmp_path / f"{index:05d}.png" for index in (3, 8)]
    for file in files:
        write_mask(file, clip.masks[3])
    bert.upload_mask(files, marked=False)
    bert.says("Took in masks of 2 frames, 2 of them as marks")
    assert bert.errors == []
    bert.close()
