"""`vos.propagate`: which frames come, in which order, and with what masks."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vos
from vos.backbones.inference import FeatureExtractor
from vos.errors import MissingError, UsageError, VosError
from vos.media import Video, VideoWriter, open_video
from vos.propagation import PropagationConfig
from vos.segmentation import SegmentedFrame

Overlap = Callable[[np.ndarray, np.ndarray, int], float]
LAST = 9


@pytest.fixture
def run(
    folder: Path, extractor: FeatureExtractor, config: PropagationConfig
) -> Callable[..., list[SegmentedFrame]]:
    """`vos.propagate` over the small video, with cheap features."""

    def propagate(given: dict[int, np.ndarray], **how: object) -> list[SegmentedFrame]:
        arguments = {"model": extractor, "preset": config, **how}
        video = arguments.pop("video", folder)
        return list(vos.propagate(video, given, **arguments))  # type: ignore[arg-type]

    return propagate


def test_objects_are_followed_under_their_own_ids(run, masks, overlap) -> None:
    result = run({0: masks[0]})
    assert [frame.index for frame in result] == list(range(10))
    assert all(frame.ids == (2, 7) for frame in result)
    for index, ids, mask in result:
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 2, 7}
        assert min(overlap(mask, masks[index], each) for each in ids) > 0.7


def test_an_annotated_frame_is_given_back_to_the_pixel(run, masks) -> None:
    result = run({0: masks[0], 6: masks[6]})
    np.testing.assert_array_equal(result[0].mask, masks[0])
    np.testing.assert_array_equal(result[6].mask, masks[6])


def test_from_the_middle_forwards_then_backwards(run, masks, overlap) -> None:
    result = run({4: masks[4]})
    assert [frame.index for frame in result] == [4, 5, 6, 7, 8, 9, 3, 2, 1, 0]
    by_index = {frame.index: frame.mask for frame in result}
    assert overlap(by_index[0], masks[0], 2) > 0.7


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("forward", [4, 5, 6, 7, 8, 9]), ("backward", [4, 3, 2, 1, 0])],
)
def test_one_direction_only(run, masks, direction: str, expected: list[int]) -> None:
    result = run({4: masks[4]}, direction=direction)
    assert [frame.index for frame in result] == expected


def test_backwards_from_the_first_frame_is_that_frame(run, masks) -> None:
    (only,) = run({0: masks[0]}, direction="backward")
    np.testing.assert_array_equal(only.mask, masks[0])


def test_backwards_equals_forwards_through_the_reversed_video(
    run, folder: Path, frames, masks, tmp_path: Path
) -> None:
    turned = tmp_path / "turned"
    turned.mkdir()
    for index, frame in enumerate(reversed(frames)):
        Image.fromarray(frame).save(turned / f"{index:05d}.png")
    backwards = run({LAST: masks[LAST]}, direction="backward")
    forwards = run({0: masks[LAST]}, video=turned)
    assert [frame.index for frame in backwards] == [LAST - frame.index for frame in forwards]
    for one, other in zip(backwards, forwards, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_a_new_object_midway_joins_those_known(run, masks, overlap) -> None:
    first = np.where(masks[0] == 2, 2, 0).astype(np.uint8)
    late = np.where(masks[5] == 7, 7, 0).astype(np.uint8)
    result = run({0: first, 5: late})
    assert [frame.ids for frame in result] == [(2,)] * 5 + [(2, 7)] * 5
    assert not any((frame.mask == 7).any() for frame in result[:5])
    for index, _, mask in result[5:]:
        assert overlap(mask, masks[index], 2) > 0.7
        assert overlap(mask, masks[index], 7) > 0.7


def test_a_correction_midway_changes_what_follows(run, masks) -> None:
    moved = np.zeros_like(masks[5])
    moved[40:60, 4:24] = 2
    plain, corrected = run({0: masks[0]}), run({0: masks[0], 5: moved})
    np.testing.assert_array_equal(corrected[5].mask == 2, moved == 2)
    assert (corrected[6].mask != plain[6].mask).any()


def test_a_correction_midway_does_not_change_what_came_before_online(run, masks) -> None:
    moved = np.zeros_like(masks[5])
    moved[40:60, 4:24] = 2
    plain, corrected = run({0: masks[0]}), run({0: masks[0], 5: moved}, direction="online")
    for index in range(5):
        np.testing.assert_array_equal(corrected[index].mask, plain[index].mask)
    np.testing.assert_array_equal(corrected[5].mask == 2, moved == 2)


def test_void_pixels_are_no_object(run, masks) -> None:
    first = masks[0].copy()
    first[:4] = 255
    result = run({0: first})
    assert result[0].ids == (2, 7)
    assert not any((frame.mask == 255).any() for frame in result)


def test_files_folders_and_open_videos_are_taken(
    run, folder: Path, frames, masks, overlap, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=25, size=frames[0].shape[:2]) as writer:
        for frame in frames:
            writer.write(frame)
    of_folder = run({0: masks[0]}, video=str(folder))
    of_open_folder = run({0: masks[0]}, video=open_video(folder))
    of_file = run({0: masks[0]}, video=path)
    for one, other, coded in zip(of_folder, of_open_folder, of_file, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert overlap(coded.mask, one.mask, 2) > 0.7  # compression changes pixels


def test_a_video_of_ones_own_is_streamed(run, frames, masks) -> None:
    """Frames are read as they are needed: a camera would do as a `Video`."""

    class Camera(Video):
        read_so_far = 0

        def __init__(self) -> None:
            self.path, self.name, self.frame_count = Path("camera"), "camera", None
            self.height, self.width = frames[0].shape[:2]

        def count_frames(self) -> int:
            raise AssertionError("a stream has no length")

        def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
            for _ in range(100):
                Camera.read_so_far += 1
                yield frames[Camera.read_so_far % 2]

    camera = Camera()
    result = vos.propagate(camera, {0: masks[0]}, model=vos.load("lab"), device="cpu")
    for _ in range(3):
        next(result)
    result.close()  # type: ignore[attr-defined]
    assert Camera.read_so_far < 20


def test_names_of_models_and_presets_are_taken(folder: Path, masks) -> None:
    stream = vos.propagate(folder, {0: masks[0]}, model="lab", preset="crw", device="cpu")
    assert next(stream).ids == (2, 7)


@pytest.mark.parametrize(
    ("given", "direction"), [((30,), "forward"), ((0, 30), "online"), ((0, 10), "online")]
)
def test_a_generator_that_ends_before_a_mask_says_so(frames, masks, given, direction) -> None:
    marks = dict.fromkeys(given, masks[0])
    stream = vos.propagate(
        (frame for frame in frames), marks, model="lab", device="cpu", direction=direction
    )
    with pytest.raises(UsageError, match=f"ended before frame {max(given)}"):
        list(stream)


class TestRefused:
    """By the call itself, before any frame is asked for."""

    def refuse(self, error: type[VosError], match: str, video: object, given, **how) -> None:
        with pytest.raises(error, match=match):
            vos.propagate(video, given, **{"model": "lab", "device": "cpu", **how})  # type: ignore

    def test_no_mask(self, folder: Path) -> None:
        self.refuse(UsageError, "no mask given", folder, {})

    @pytest.mark.parametrize("index", [0, 3])
    def test_a_mask_without_objects(self, folder: Path, masks, index: int) -> None:
        empty = np.full_like(masks[0], 0)
        message = f"frame {index} is all background"
        self.refuse(UsageError, message, folder, {0: masks[0], index: empty})

    def test_an_object_without_its_id(self, folder: Path, masks) -> None:
        binary = np.where(masks[3] == 7, 255, 0)
        message = "frame 3 holds 0 and 255 alone, and there are the objects 2, 7"
        self.refuse(UsageError, message, folder, {0: masks[0], 3: binary})

    def test_a_mask_of_another_size(self, folder: Path, masks) -> None:
        self.refuse(UsageError, "48 x 64 pixels, its frame 96 x 64", folder, {0: masks[0][:, :48]})

    @pytest.mark.parametrize(("index", "what"), [(-1, "no frame -1"), (10, "its 10 frames")])
    def test_a_frame_that_is_not_there(self, folder: Path, masks, index: int, what: str) -> None:
        self.refuse(UsageError, what, folder, {0: masks[0], index: masks[0]})

    def test_a_video_that_is_not_there(self, tmp_path: Path, masks) -> None:
        self.refuse(MissingError, "there is no video", tmp_path / "no.mp4", {0: masks[0]})

    @pytest.mark.parametrize(
        ("how", "what"),
        [
            ({"model": "lap"}, "did you mean lab"),
            ({"preset": "dyno"}, "did you mean dino"),
            ({"direction": "forwards"}, "did you mean forward"),
            ({"device": "gpu"}, "unknown device"),
        ],
    )
    def test_unknown_names(self, folder: Path, masks, how: dict[str, str], what: str) -> None:
        self.refuse(UsageError, what, folder, {0: masks[0]}, **how)


def test_frames_before_a_broken_one_are_good(run, folder: Path, extractor, config, masks) -> None:
    whole = run({0: masks[0]})
    video = open_video(folder)
    broken = folder / "00006.png"
    broken.write_bytes(broken.read_bytes()[:2000])
    seen = []
    with pytest.raises(VosError, match=r"00006\.png is truncated"):
        for frame in vos.propagate(video, {0: masks[0]}, model=extractor, preset=config):
            seen.append(frame)
    assert len(seen) == 6
    for frame, before in zip(seen, whole, strict=False):
        np.testing.assert_array_equal(frame.mask, before.mask)


def test_masks_of_a_camera_do_not_wait_for_later_frames(frames, masks, monkeypatch) -> None:
    module = importlib.import_module("vos.segmentation.segment")
    monkeypatch.setattr(module, "_frames_at_once", lambda extractor: 8)  # as on a GPU
    wanted = threading.Semaphore(1)

    def camera():
        for frame in frames:
            assert wanted.acquire(timeout=20), "the mask before is still waited for"
            yield frame

    found = []
    for mask in vos.propagate(camera(), {0: masks[0]}, model="lab,stride=4", direction="online"):
        found.append(mask)
        wanted.release()
    assert len(found) == len(frames)
