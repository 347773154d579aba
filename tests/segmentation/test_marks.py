"""Masks and frames as people have them at hand: taken for what they are, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vos
from vos.errors import UsageError, VosError
from vos.media import open_video, write_mask
from vos.segmentation.marks import check_marks, check_mask


@pytest.fixture
def video(frames):
    return open_video(frames)


@pytest.fixture
def disc(masks) -> np.ndarray:
    """Object 2 of the scene as 0 and 1."""
    return (masks[0] == 2).astype(np.uint8)


@pytest.mark.parametrize(
    "form",
    [
        lambda m: m,
        lambda m: m.astype(bool),
        lambda m: m * np.uint8(255),
        lambda m: m * 255.0,
        lambda m: m.astype(np.int64),
        lambda m: m.astype(np.float16),
        lambda m: m[..., None],
        lambda m: m[None],
        lambda m: np.repeat(m[..., None] * np.uint8(255), 3, axis=2),
        lambda m: torch.from_numpy(m),
        lambda m: torch.from_numpy(m).to(torch.bfloat16) * 255,
        lambda m: torch.from_numpy(m).bool(),
        lambda m: Image.fromarray(m),
        lambda m: Image.fromarray(m * np.uint8(255)),
        lambda m: Image.fromarray(m * np.uint8(255)).convert("1"),
        lambda m: Image.fromarray(m * np.uint8(255)).convert("RGB"),
        lambda m: np.asfortranarray(m),
    ],
)
def test_one_object_in_every_form(form, disc, video) -> None:
    (checked,) = check_marks({0: form(disc)}, video).values()
    assert checked.dtype == np.uint8
    np.testing.assert_array_equal(checked, disc)


def test_a_file_is_read_by_the_rules_for_files(disc, masks, video, tmp_path: Path) -> None:
    Image.fromarray(disc * np.uint8(255)).save(tmp_path / "one.png")
    write_mask(tmp_path / "two.png", masks[0])
    given = check_marks({0: tmp_path / "one.png", 3: str(tmp_path / "two.png")}, video)
    np.testing.assert_array_equal(given[0], disc)
    np.testing.assert_array_equal(given[3], masks[0])


def test_255_is_void_beside_ids_and_an_object_alone(masks, disc, video) -> None:
    bordered = masks[0].copy()
    bordered[:3] = 255
    np.testing.assert_array_equal(check_marks({0: bordered}, video)[0], bordered)
    void_only = np.where(masks[0] == 2, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(check_mask(void_only, 0, video, known=(1,)), disc)
    with pytest.raises(UsageError, match="frame 0 holds 0 and 255 alone"):
        check_mask(void_only, 0, video, known=(2, 7))
    with pytest.raises(UsageError, match="frame 3 holds 0 and 255 alone"):
        check_marks({0: masks[0], 3: void_only}, video)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (128, 192), (22, 32), (64, 95)])
def test_masks_of_a_copy_of_the_video_are_resized_and_it_is_said(
    disc, video, tmp_path: Path, caplog: pytest.LogCaptureFixture, height: int, width: int
) -> None:
    copy = np.array(Image.fromarray(disc).resize((width, height), Image.Resampling.NEAREST))
    path = tmp_path / "copy.png"
    write_mask(path, copy)
    rows, columns = (
        np.floor((np.arange(whole) + 0.5) * part / whole).astype(int)
        for whole, part in ((64, height), (96, width))
    )
    for given, what in ((copy, "the mask of frame 0"), (path, str(path))):
        caplog.clear()
        (checked,) = check_marks({0: given}, video).values()
        np.testing.assert_array_equal(checked, copy[rows][:, columns])
        assert caplog.messages == [
            f"{what} is {width} x {height} pixels, its frame 96 x 64: it is resized to its frame "
            "by the nearest pixels"
        ]


def test_masks_are_copied_by_the_call(frames, masks, extractor, config) -> None:
    given = {0: masks[0].copy()}
    stream = vos.propagate(frames, given, model=extractor, preset=config)
    given[0][:] = 0
    given.clear()
    np.testing.assert_array_equal(next(stream).mask, masks[0])


def test_frame_indices_of_numpy_are_taken(masks, video) -> None:
    assert list(check_marks({np.int64(3): masks[3], 1: masks[1]}, video)) == [1, 3]


@pytest.mark.parametrize(
    ("form", "what"),
    [
        (lambda m: {}, "no mask given"),
        (lambda m: m, r"masks are one mask: give masks by frame index: \{0: mask\}"),
        (lambda m: [m], r"masks are a list: give masks by frame index: \{0: mask\}"),
        (lambda m: None, r"of type NoneType: .*\{0: mask\}"),
        (lambda m: "first.png", r"of type str: .*\{0: mask\}"),
        (lambda m: {"0": m}, "'0' is no frame index"),
        (lambda m: {0.5: m}, "0.5 is no frame index"),
        (lambda m: {-1: m}, "no frame -1"),
        (lambda m: {10: m}, "its 10 frames are counted from 0"),
        (lambda m: {0: m * 0}, "frame 0 is all background"),
        (lambda m: {0: m.astype(int) * 300}, "frame 0 holds the value 300"),
        (lambda m: {0: -m.astype(int)}, "holds the value -1"),
        (lambda m: {0: m * 0.5}, "holds fractions"),
        (lambda m: {0: m * np.nan}, "holds fractions"),
        (
            lambda m: {0: np.stack([m, m, 0 * m], axis=2)},
            r"\(64, 96, 3\): a mask is \(height, width\)",
        ),
        (lambda m: {0: np.stack([m, m])}, r"\(2, 64, 96\): a mask is \(height, width\)"),
        (lambda m: {0: m[:, :48]}, "frame 0 is 48 x 64 pixels, its frame 96 x 64"),
        (lambda m: {0: m.tolist()}, "give a .height, width. array of object ids"),
        (lambda m: {0: m.astype(str)}, "array of"),
        (lambda m: {0: None}, "is no array"),
        (lambda m: {0: m.astype(complex)}, "array of complex"),
        (lambda m: {0: Image.new("RGB", (96, 64), (9, 99, 199))}, "the mask of frame 0 is an RGB"),
        (lambda m: {0: "no such.png"}, "frame 0: there is no file no such.png; give .* an array"),
    ],
)
def test_what_is_no_mask_is_refused_by_the_call(form, what: str, disc, frames, extractor) -> None:
    with pytest.raises(VosError, match=what):
        vos.propagate(frames, form(disc), model=extractor)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"model": 3}, "model is of type int"),
        ({"model": torch.nn.Conv2d(3, 8, 3)}, r"gives \(1, 8, 222, 446\) .* no whole number"),
        ({"preset": 3}, "preset is a name or a PropagationConfig"),
        ({"device": None}, "unknown device"),
        ({"precision": 16}, "unknown precision"),
        ({"direction": None}, "no direction None"),
        ({"engine": "fast"}, "fast"),
    ],
)
def test_other_arguments_are_refused_by_the_call(how, what: str, disc, frames) -> None:
    with pytest.raises(UsageError, match=what):
        vos.propagate(frames, {0: disc}, **{"model": "lab", "device": "cpu", **how})


def test_a_device_of_torch_is_taken(disc, frames) -> None:
    stream = vos.propagate(frames, {0: disc}, model="lab", device=torch.device("cpu"))
    np.testing.assert_array_equal(next(stream).mask, disc)


def test_frames_in_memory_give_what_a_folder_gives(
    frames, masks, folder, extractor, config
) -> None:
    how = {"model": extractor, "preset": config}
    wanted = [frame.mask for frame in vos.propagate(folder, {0: masks[0]}, **how)]
    paths = sorted(folder.iterdir())
    for video in (
        np.stack(frames),
        torch.from_numpy(np.stack(frames)),
        frames,
        paths,
        [Image.open(path) for path in paths],
        (frame for frame in frames),
    ):
        found = vos.propagate(video, {0: masks[0]}, **how)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one.mask, other)


def test_a_generator_goes_forwards_only(frames, masks, extractor, config) -> None:
    def refused(what: str, given, **how) -> None:
        with pytest.raises(UsageError, match=what):
            vos.propagate(iter(frames), given, model=extractor, preset=config, **how)

    refused("frames before 4 cannot be segmented; give direction='forward'", {4: masks[4]})
    refused("frames before 4 cannot", {4: masks[4]}, direction="backward")
    refused("give direction='online'", {0: masks[0], 4: masks[4]})
    how = {"model": extractor, "preset": config}
    found = vos.propagate(iter(frames), {4: masks[4]}, direction="forward", **how)
    assert [frame.index for frame in found] == [4, 5, 6, 7, 8, 9]
    given = {0: masks[0], 4: masks[4]}
    online = vos.propagate(iter(frames), given, direction="online", **how)
    assert [frame.index for frame in online] == list(range(10))
