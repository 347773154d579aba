"""`vos propagate` on files in the forms that people have: what goes in is what was meant."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from vos.media import open_video, read_palette_mask, read_rle
from vos.media.listing import in_natural_order

HEIGHT, WIDTH = 60, 80
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
MILLISECONDS = [0, 33, 66, 400, 900]


def disc(index: int) -> np.ndarray:
    return ((_X - 25 - 4 * index) ** 2 + (_Y - 30) ** 2 < 150).astype(np.uint8)


def frame(index: int) -> np.ndarray:
    ground = np.random.default_rng(0).integers(70, 90, (HEIGHT, WIDTH, 3), np.uint8)
    ground[disc(index) > 0] = 200, 40, 30
    return ground


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(frame(index)).save(folder / f"shot_{index + 8}.png")
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    Image.fromarray(disc(0)).save(tmp_path / "first.png")
    return tmp_path / "first.png"


@pytest.fixture
def carried(vos_command, tmp_path: Path) -> Callable[..., Any]:
    def carry(video: Path, mask: Path, *more: object) -> Any:
        return vos_command(
            "propagate", video, "--mask", mask, "--out", tmp_path / "out",
            "--model", "lab", "--device", "cpu", *more,
        )  # fmt: skip

    return carry


def masks_in(folder: Path) -> list[np.ndarray]:
    return [read_palette_mask(path) for path in in_natural_order(folder.glob("*.png"))]


def test_a_mask_that_lies_among_the_frames_is_no_frame(
    shot: Path, carried: Callable, tmp_path: Path
) -> None:
    Image.fromarray(disc(0)).save(shot / "mask.png")
    assert carried(shot, shot / "mask.png").code == 0
    assert len(masks_in(tmp_path / "out")) == 4


def test_a_guess_is_said_in_a_line_and_a_doubt_refused(
    shot: Path, carried: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mask = tmp_path / "soft.png"
    Image.fromarray(cv2.GaussianBlur(disc(0) * np.uint8(255), (0, 0), 3)).save(mask)
    refused = carried(shot, mask)
    assert refused.code == 1
    assert "soft edges" in refused.complaint
    Image.fromarray(cv2.GaussianBlur(disc(0) * np.uint8(255), (0, 0), 0.5)).save(mask)
    assert carried(shot, mask).code == 0
    assert "soft.png has soft edges: it is read as one object" in caplog.text
    assert [np.unique(mask).tolist() for mask in masks_in(tmp_path / "out")] == [[0, 1]] * 4


def test_an_object_is_clicked_on_another_is_boxed(shot: Path, vos_command, tmp_path: Path) -> None:
    run = ("propagate", shot, "--model", "lab", "--device", "cpu", "--out", tmp_path / "out")
    prompts = ("--point", "25,30", "--box", "shot_11:4=21,15,53,45")
    assert vos_command(*run, *prompts).code == 0
    first, *_, last = masks_in(tmp_path / "out")
    for mask, object_id, index in ((first, 1, 0), (last, 4, 3)):
        found, exact = mask == object_id, disc(index) > 0
        assert (found & exact).sum() / (found | exact).sum() > 0.7
    again = vos_command(*run, *prompts, "--json")
    assert json.loads(again.out)["fps"] == 0, "the same clicks: all masks are there already"
    other = vos_command(*run, "--point", "25,200")
    assert other.code == 2
    assert "--point 25,200: the point 25, 200 lies outside the image" in other.complaint
    planned = json.loads(vos_command(*run, *prompts, "--dry-run", "--json").out)
    assert planned["annotated"] == [0, 3]


@pytest.mark.parametrize("name", ["masks.json", "masks.ytvis.json"])
def test_run_lengths_open_where_they_should(
    shot: Path, first: Path, carried: Callable, tmp_path: Path, name: str
) -> None:
    assert carried(shot, first, "--rle", tmp_path / name).code == 0
    written = masks_in(tmp_path / "out")
    for mask, decoded in zip(written, read_rle(tmp_path / name), strict=True):
        np.testing.assert_array_equal(decoded, mask)
    content = json.loads((tmp_path / name).read_text())
    expected = [f"shot/shot_{index}.png" for index in range(8, 12)]
    if name == "masks.ytvis.json":
        assert content["videos"][0]["file_names"] == expected
        return
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / name))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == expected
    for annotation, mask in zip(coco.loadAnns(coco.getAnnIds()), written, strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation), mask == 1)


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """Uneven times, pixels that are not square, and sound."""
    with av.open(str(tmp_path / "phone.mp4"), "w") as output:
        stream: Any = output.add_stream("libx264", rate=30, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        voice: Any = output.add_stream("aac", rate=16000, layout="mono")
        for index, time in enumerate(MILLISECONDS):
            image = av.VideoFrame.from_ndarray(frame(index), format="rgb24")
            image.pts, image.time_base = time, Fraction(1, 1000)
            output.mux(stream.encode(image))
        output.mux(stream.encode(None))
        for number in range(15):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.sample_rate, samples.pts = 16000, number * 1024
            output.mux(voice.encode(samples))
        output.mux(voice.encode(None))
    return tmp_path / "phone.mp4"


@pytest.mark.parametrize("silent", [False, True])
def test_an_overlay_is_played_as_its_video(
    phone: Path, first: Path, carried: Callable, tmp_path: Path, silent: bool
) -> None:
    shown = tmp_path / "shown.mp4"
    options = ["--no-sound"] if silent else []
    assert carried(phone, first, "--overlay", shown, *options).code == 0
    overlay = open_video(shown)
    np.testing.assert_allclose(overlay.frame_times() * 1000, MILLISECONDS, atol=1)
    assert overlay.pixel_aspect == Fraction(16, 11)
    assert (overlay.sound is None) == silent


def test_names_of_objects_go_from_annotations_to_run_lengths(
    shot: Path, carried: Callable, tmp_path: Path
) -> None:
    box = '<box label="ball" xtl="13" ytl="18" xbr="37" ybr="42"/>'
    image = f'<image name="shot_8.png" width="{WIDTH}" height="{HEIGHT}">{box}</image>'
    (tmp_path / "given.xml").write_text(f"<annotations>{image}</annotations>")
    refused = carried(shot, tmp_path / "given.xml")
    assert refused.code == 2 and "add --fill-boxes" in refused.complaint
    ended = carried(shot, tmp_path / "given.xml", "--fill-boxes", "--rle", tmp_path / "a.json")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "a.json").read_text())["categories"] == [
        {"id": 1, "name": "ball"}
    ]


def test_videos_for_editing_are_played_as_their_video(
    phone: Path, first: Path, carried: Callable, tmp_path: Path
) -> None:
    shown = [tmp_path / "cut.mov", tmp_path / "cut.webm", tmp_path / "matte.mp4"]
    kinds = zip(("prores", "webm", "matte"), shown, strict=True)
    options = [part for kind, path in kinds for part in ("--composite", f"{kind}={path}")]
    ended = carried(phone, first, *options)
    assert ended.code == 0, ended.err
    for video in map(open_video, shown):
        np.testing.assert_allclose(video.frame_times() * 1000, MILLISECONDS, atol=1)
        assert video.width * video.pixel_aspect == pytest.approx(WIDTH * 16 / 11, abs=0.5)
        assert video.sound is not None


def test_stacks_of_pictures_are_videos(first: Path, carried: Callable, tmp_path: Path) -> None:
    pages = [Image.fromarray(frame(index)) for index in range(4)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    assert carried(tmp_path / "stack.tif", first).code == 0
    assert len(masks_in(tmp_path / "out")) == 4
