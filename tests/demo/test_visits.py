"""Visits that do not go straight: two at once, a reload, a stop, a broken file, a long video."""

from __future__ import annotations

import dataclasses

import httpx
import numpy as np
import pytest
from visitor import PATIENCE, Visitor, masks_in

from vos.demo import Limits, Serving, start
from vos.media import VideoWriter, write_mask

pytestmark = pytest.mark.slow

LONG = 500  # frames


@pytest.fixture
def visit(browser, running):
    """Opens tabs, and closes them."""
    visitors = []

    def open_tab(**options) -> Visitor:
        visitors.append(Visitor(browser, running.url, **options))
        return visitors[-1]

    yield open_tab
    for visitor in visitors:
        assert visitor.errors == []
        visitor.close()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """Many small frames with a bright square that goes round, and its first mask."""
    folder = tmp_path_factory.mktemp("long")
    backdrop = np.random.default_rng(0).integers(0, 90, (48, 64, 3), np.uint8)

    def place(index):
        angle = index / 40
        row, column = round(20 + 12 * np.sin(angle)), round(28 + 18 * np.cos(angle))
        return slice(row, row + 9), slice(column, column + 9)

    with VideoWriter(folder / "long.mp4", fps=25, size=(48, 64)) as writer:
        for index in range(LONG):
            frame = backdrop.copy()
            frame[place(index)] = (250, 230, 40)
            writer.write(frame)
    mask = np.zeros((48, 64), np.uint8)
    mask[place(0)] = 1
    write_mask(folder / "first.png", mask)
    return folder / "long.mp4", folder / "first.png", place


def first_mask(clip, tmp_path):
    write_mask(tmp_path / "first.png", clip.masks[0])
    return tmp_path / "first.png"


def test_two_visitors_at_once(visit, clip, tmp_path, running):
    anna, bert = visit(), visit()
    anna.upload(clip.path)
    bert.page.click("#open-example")
    anna.see_workspace()
    bert.see_workspace()
    anna.upload_mask(first_mask(clip, tmp_path))
    anna.propagate()
    anna.says("Look through them")
    assert "my-table" in anna.page.inner_text("#title")
    assert "my-table" not in bert.page.inner_text("#title")
    assert "Nothing propagated" in bert.page.inner_text("#strip")
    bert.propagate()
    bert.says("Mark an object on a frame first")


def test_reload_in_the_middle_of_a_run_that_waited_in_the_queue(visit, clip, tmp_path, running):
    anna = visit()
    anna.upload(clip.path)
    anna.see_workspace()
    anna.upload_mask(first_mask(clip, tmp_path))
    anna.go_to(3)
    with running.queue.turn():  # someone else's run
        anna.propagate()
        anna.says("Number 2 in the queue")
        anna.page.reload()
        anna.see_workspace()
        anna.says("Number 2 in the queue")
        assert anna.page.is_visible("#stop")
    anna.says("10 frames in")
    assert "1 marked" in anna.page.inner_text("#strip")
    assert "10 of 10 frames have masks" in anna.page.inner_text("#strip")
    anna.page.click("#remove")
    anna.says("is removed from every frame")
    anna.page.click("#undo")
    anna.says("Object 1 is back")
    anna.page.wait_for_selector("#objects :text('Object 1')")


def test_work_that_the_server_has_no_more_is_spoken_of(visit, clip, running):
    anna = visit()
    anna.upload(clip.path)
    anna.see_workspace()
    anna.page.click("#close")
    anna.page.wait_for_selector("#start")
    assert not anna.page.is_visible("#limits .gone"), "she left it herself"
    anna.upload(clip.path)
    anna.see_workspace()
    running.store.end(anna.page.evaluate("sessionStorage.getItem('vos-session')"))
    anna.page.reload()
    anna.page.wait_for_selector("#limits .gone:has-text('Your work is here no more')")
    anna.page.reload()
    anna.page.wait_for_selector("#start")
    assert not anna.page.is_visible("#limits .gone"), "once is enough"


def test_who_finds_no_place_waits_for_one(browser, running, monkeypatch):
    none = dataclasses.replace(running.store.limits, sessions=0)
    page = browser.new_page()
    with monkeypatch.context() as full:
        full.setattr(running.store, "limits", none)
        page.goto(running.url)
        page.wait_for_selector("#problem :text('Too many people')", timeout=PATIENCE)
        assert not page.is_visible("#start")
    page.wait_for_selector("#start", timeout=PATIENCE)
    page.close()


def test_long_video_stopped_and_gone_on_with(visit, long_clip):
    path, mask, place = long_clip
    anna = visit()
    anna.upload(path)
    anna.see_workspace()
    anna.upload_mask(mask)
    anna.propagate()
    anna.page.wait_for_selector("#status progress")
    anna.page.wait_for_selector("#frame :text('just propagated')")
    anna.page.reload()  # it goes on
    anna.page.wait_for_selector("#status progress")
    anna.page.click("#stop")
    anna.says("their masks are kept")
    assert f"{LONG} of {LONG}" not in anna.page.inner_text("#strip")
    anna.propagate()
    anna.says(f"{LONG} frames in")
    masks = masks_in(anna.download("palette PNGs"))
    assert len(masks) == LONG
    exact = np.zeros((48, 64), bool)
    exact[place(0)] = True
    np.testing.assert_array_equal(masks[0] == 1, exact)


def test_what_is_no_video(visit, clip, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x20ftypisom" + bytes(500))
    anna = visit()
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(20_500_000))
    anna.upload(large)
    anna.page.wait_for_selector("#limits :text('large.mp4 has 21 MB, the limit is 20 MB')")
    anna.upload(broken)
    anna.page.wait_for_selector("#problem [role=alert]")
    words = anna.page.inner_text("#problem [role=alert]")
    assert "Traceback" not in words and "/" not in words.replace("video/", "")
    anna.upload(clip.path)
    anna.see_workspace()
    assert not anna.page.is_visible("#problem [role=alert]")


def test_wrong_mask_and_keyboard(visit, clip, tmp_path):
    anna = visit()
    anna.upload(clip.path)
    anna.see_workspace()
    write_mask(tmp_path / "small.png", np.ones((20, 30), np.uint8))
    anna.upload_mask(tmp_path / "small.png", marked=False)
    anna.says("small.png is 30 x 20 pixels")
    anna.page.click("#intro")
    anna.page.keyboard.press("ArrowRight")
    anna.page.wait_for_selector("#frame :text('Frame 1 of')")
    anna.page.keyboard.press("ArrowLeft")
    anna.page.wait_for_selector("#frame :text('Frame 0 of')")
    anna.tool("Box")
    anna.page.wait_for_selector("#canvas :text('Draw a box around Object 1')")
    rows, columns = np.nonzero(clip.masks[0] == 1)
    corners = [(columns.min() - 2, rows.min() - 2), (columns.max() + 2, rows.max() + 2)]
    anna.drag(corners, clip.masks[0].shape)
    anna.says("Frame 0 is marked")
    anna.page.click("#intro")
    anna.page.keyboard.press("u")
    anna.says("Undone on frame 0")
    anna.page.click("#intro")
    anna.page.keyboard.press(" ")
    anna.page.wait_for_selector("#frame :text('Frame 9 of')")


def test_a_camera(visit):
    """Chromium's made-up camera; the recording has no length and an uneven rate."""
    anna = visit(permissions=["camera"])
    anna.page.click("#upload button[aria-label='Capture from camera']")
    anna.page.click("#upload button:has-text('Click to Access Webcam')")
    anna.page.click("#upload button:has-text('Record')")
    anna.page.wait_for_timeout(3000)
    anna.page.click("#upload button:has-text('Stop')")
    anna.see_workspace()
    assert "1280 x 720" in anna.page.inner_text("#title")


def test_a_name_and_a_password(browser, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))  # put back for the other server
    limits = Limits(sessions=2)
    serving = Serving(auth="anna:secret", limits=limits, device="cpu", work_folder=tmp_path / "w")
    with start(serving) as page:
        assert httpx.get(f"{page.url}config", trust_env=False).status_code == 401
        tab = browser.new_context()
        tab.set_default_timeout(PATIENCE)
        view = tab.new_page()
        view.goto(page.url)
        for password in ("wrong", "secret"):
            view.fill("input[type=text]", "anna")
            view.fill("input[type=password]", password)
            view.click("button:has-text('Login')")
            if password == "wrong":
                view.wait_for_selector(":text('Incorrect Credentials')")
        view.click("#open-example")
        view.wait_for_selector("#canvas canvas[data-index]")
        tab.close()
