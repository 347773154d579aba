"""Finding and decoding training clips: videos, folders of frames, photos; broken files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vos.datasets import clips as clips_module
from vos.datasets.clips import CacheError, find_clips, forget_unused, load_clips
from vos.errors import MissingError, UsageError, VosError
from vos.media.images import write_image


def picture(height: int = 32, width: int = 48, *, shade: int = 0) -> np.ndarray:
    rows = np.linspace(0, 150, height)[:, None, None]
    return (rows + np.linspace(0, 80, width)[None, :, None] + [shade, 0, 5]).astype(np.uint8)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A video, a folder of frames with its masks, photos, and a hidden folder."""
    writer = cv2.VideoWriter(
        str(tmp_path / "walk.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 12, (48, 32)
    )
    for shade in (0, 5, 10, 15):
        writer.write(picture(shade=shade)[:, :, ::-1])
    writer.release()
    for index in range(3):
        write_image(tmp_path / "JPEGImages" / "bear" / f"{index:05d}.png", picture(shade=index))
        write_image(tmp_path / "Annotations" / "bear" / f"{index:05d}.png", picture())
    for name in ("n01440764_26", "n01440764_39", "n01440764_190"):
        write_image(tmp_path / "photos" / f"{name}.png", picture(40, 30))
    write_image(tmp_path / ".hidden" / "a.png", picture())
    return tmp_path


def test_finds_videos_frames_and_photos_but_no_masks(mixed: Path) -> None:
    found = {source.name: len(source.files) for source in find_clips([mixed])}
    assert found == {
        "walk.mp4": 1,
        "bear": 3,
        "n01440764_26.png": 1,
        "n01440764_39.png": 1,
        "n01440764_190.png": 1,
    }


def test_frames_are_decoded_upright_shrunk_and_in_order(mixed: Path) -> None:
    loaded = {clip.name: clip.frames for clip in load_clips(find_clips([mixed]), short_side=16)}
    assert loaded["walk.mp4"].shape == (4, 16, 24, 3)
    assert loaded["n01440764_26.png"].shape == (1, 21, 16, 3)
    reds = loaded["bear"][:, 8, 12, 0].astype(int)
    assert list(np.diff(reds)) == [1, 1]


def test_small_clips_are_not_enlarged(mixed: Path) -> None:
    loaded = load_clips(find_clips([mixed / "walk.mp4"]), short_side=256)
    assert loaded[0].frames.shape == (4, 32, 48, 3)


def test_disk_cache_gives_the_same_and_is_found_again(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = find_clips([mixed])
    folder = tmp_path / "cache"
    first = load_clips(sources, short_side=16, cache="disk", cache_folder=folder)
    in_memory = load_clips(sources, short_side=16)

    def forbidden(*_: object) -> np.ndarray:
        raise AssertionError("decoded a second time")

    monkeypatch.setattr(clips_module, "decode", forbidden)
    again = load_clips(sources, short_side=16, cache="disk", cache_folder=folder)
    for one, two, three in zip(first, again, in_memory, strict=True):
        assert isinstance(two.frames, np.memmap)
        np.testing.assert_array_equal(one.frames, two.frames)
        np.testing.assert_array_equal(one.frames, three.frames)


def test_what_no_run_used_for_a_month_is_removed_from_the_cache(
    mixed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"

    def load() -> None:
        load_clips(find_clips([mixed]), short_side=16, cache="disk", cache_folder=folder)

    load()
    files = sorted(folder.iterdir())
    theirs = folder / "notes.npy"
    theirs.write_bytes(b"a file of somebody else")
    for path in (*files, theirs):
        os.utime(path, (0, 0))
    stale = folder / f"{0:032x}.npy"
    shutil.copy(files[0], stale)
    os.utime(stale, (0, 0))
    load()  # it uses all but one
    forget_unused(folder)
    assert sorted(folder.iterdir()) == sorted([*files, theirs])


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_corrupt_video_is_named_and_left_out(mixed: Path, tmp_path: Path, cache: str) -> None:
    (mixed / "broken.mp4").write_bytes(b"this is no video" * 100)
    for _ in range(2):  # the second time the disk cache remembers
        told: list[str] = []
        loaded = load_clips(
            find_clips([mixed]),
            short_side=16,
            cache=cache,
            cache_folder=tmp_path / "cache",
            warn=told.append,
        )
        assert len(loaded) == 5
        assert len(told) == 1
        assert "broken.mp4" in told[0]


def test_frames_of_several_sizes_are_left_out(tmp_path: Path) -> None:
    write_image(tmp_path / "clip" / "0.png", picture())
    write_image(tmp_path / "clip" / "1.png", picture(20, 20))
    with pytest.raises(VosError, match="none of the 1 clips"):
        load_clips(find_clips([tmp_path]), short_side=64, warn=lambda _: None)


def test_without_pyav_opencv_decodes(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = find_clips([mixed / "walk.mp4"])
    expected = load_clips(sources, short_side=32)[0].frames
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    found = load_clips(sources, short_side=32)[0].frames
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 3


def test_missing_and_empty_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere"):
        find_clips([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="no video"):
        find_clips([tmp_path])


def numbered(folder: Path, names: list[str], size: tuple[int, int] = (8, 8)) -> Path:
    for number, name in enumerate(names):
        write_image(folder / name, np.full((*size, 3), number, np.uint8))
    return folder


def test_a_gap_in_the_numbers_splits_a_clip(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "shot", [f"{i}.tif" for i in (0, 1, 2, 3, 8, 9, 10, 11, 12, 20)])
    clips = find_clips([folder])
    assert [[file.stem for file in clip.files] for clip in clips] == [
        ["0", "1", "2", "3"],
        ["8", "9", "10", "11", "12"],
        ["20"],
    ]
    assert [clip.name for clip in clips] == ["shot from 0", "shot from 8", "shot from 20"]


def test_numbers_without_zeros_are_one_clip_in_order(tmp_path: Path) -> None:
    (clip,) = find_clips([numbered(tmp_path, [f"{i}.png" for i in range(13)])])
    assert [file.stem for file in clip.files] == [str(i) for i in range(13)]


def test_photos_whose_numbers_have_gaps_stay_photos(tmp_path: Path) -> None:
    numbered(tmp_path / "far", [f"photo{i}.png" for i in (3, 47, 52, 190)])
    assert [len(clip.files) for clip in find_clips([tmp_path / "far"])] == [1] * 4
    folder = numbered(tmp_path / "sizes", ["1.png", "2.png", "3.png", "7.png"])
    numbered(folder, ["2.png"], size=(8, 9))
    assert [len(clip.files) for clip in find_clips([folder])] == [1] * 4


def test_a_cache_that_cannot_be_written_is_told_and_no_clip_is_blamed(
    mixed: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    warned: list[str] = []
    with pytest.raises(CacheError, match=r"cache of decoded clips.*file is a file.*cache_folder"):
        load_clips(
            find_clips([mixed]),
            short_side=16,
            cache="disk",
            cache_folder=tmp_path / "file" / "cache",
            warn=warned.append,
        )
    assert not warned
