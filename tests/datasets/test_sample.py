"""The sample is what its page promises: whole, with every difficulty in it, and exact tracks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vos.datasets import open_dataset
from vos.datasets.check import check_davis
from vos.datasets.sample import copy_sample, open_sample, sample_folder, sample_tracks
from vos.errors import MissingError, UsageError, VosError


def test_files_are_those_that_the_figures_were_made_with() -> None:
    # Golden: whatever changes a pixel of a frame or a mask changes every figure on the sample.
    digest = hashlib.sha256()
    for sequence in open_dataset("sample"):
        for index in (0, len(sequence) - 1):
            digest.update(sequence.frame(index).tobytes() + sequence.mask(index).tobytes())
    assert digest.hexdigest()[:16] == "60af107cbde4333e"
    size = sum(path.stat().st_size for path in sample_folder().rglob("*") if path.is_file())
    assert size < 10 * 2**20


def test_is_a_whole_davis_folder():
    found = check_davis(sample_folder())
    assert found.problems == ()
    assert (found.sequences, found.frames) == (6, 196)
    dataset = open_sample(sequences=["pond"])
    assert (dataset.name, dataset.split) == ("sample", "val")
    assert [sequence.name for sequence in dataset] == ["pond"]


def test_holds_what_it_promises():
    clips = {sequence.name: sequence for sequence in open_sample()}
    assert max(len(clip.object_ids) for clip in clips.values()) == 5
    assert any(size % 2 for clip in clips.values() for size in clip.size)
    assert all(24 <= len(clip) <= 40 for clip in clips.values())
    seen = np.array([(clips["park"].mask(i) == 1).any() for i in range(len(clips["park"]))])
    assert seen[0] and seen[-1] and (~seen).sum() >= 5, "object 1 leaves and returns"
    for clip in clips.values():
        assert clip.object_ids == list(range(1, len(clip.object_ids) + 1))


def test_colour_alone_does_not_tell_objects_from_the_ground():
    """Pixels labelled by the colours of frame 0 (64 bins) overlap the objects only in part."""
    overlaps = []
    for clip in open_sample():
        bins = [(clip.frame(i) // 64 @ np.array([16, 4, 1])) for i in (0, len(clip) // 2)]
        first, later = clip.mask(0), clip.mask(len(clip) // 2)
        votes = np.stack(
            [np.bincount(bins[0][first == k], minlength=64) for k in (0, *clip.object_ids)]
        )
        guess = votes.argmax(axis=0)[bins[1]]
        for k in clip.object_ids:
            both, either = (guess == k) & (later == k), (guess == k) | (later == k)
            overlaps.append(both.sum() / max(either.sum(), 1))
    assert np.mean(overlaps) < 0.35


def test_tracks_are_of_points_on_their_objects() -> None:
    for sequence in open_sample():
        tracks = sample_tracks(sequence.name)
        count = 8 * len(sequence.object_ids)
        assert tracks.points.shape == (len(sequence), count, 2)
        assert tracks.visible.shape == (len(sequence), count) and tracks.visible[0].all()
        ids = np.repeat(sequence.object_ids, 8)
        for index in (0, len(sequence) // 2, len(sequence) - 1):
            mask, seen = sequence.mask(index), tracks.visible[index]
            columns, rows = np.rint(tracks.points[index, seen]).astype(int).T
            near = np.pad(mask, 1)  # rounding may leave the object by a pixel
            hits = [
                (near[row : row + 3, column : column + 3] == object_id).any()
                for row, column, object_id in zip(rows, columns, ids[seen], strict=True)
            ]
            assert all(hits), sequence.name
    with pytest.raises(UsageError, match="did you mean pond"):
        sample_tracks("ponds")


def test_a_copy_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "made" / "a sample"
    copy_sample(folder)
    for path in sample_folder().rglob("*.*"):
        assert (folder / path.relative_to(sample_folder())).read_bytes() == path.read_bytes()
    assert [path.name for path in folder.parent.iterdir()] == ["a sample"]
    opened = open_dataset("sample", root=folder, sequences=["park"])
    assert [(opened.name, clip.name) for clip in opened] == [("sample", "park")]

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfile", broken)
    with pytest.raises(KeyboardInterrupt):
        copy_sample(tmp_path / "broken")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_nothing_is_written_to_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in sample_folder().rglob("*")}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_dataset("sample")) == 6
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in sample_folder().rglob("*")} == before


def test_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="exists already, and holds file: choose a new or empty"):
        copy_sample(tmp_path)
    with pytest.raises(UsageError, match="is a file: choose a folder"):
        copy_sample(tmp_path / "file")
    with pytest.raises(VosError, match="cannot write"):
        copy_sample(tmp_path / "file" / "sample")
    with pytest.raises(MissingError, match="vos data sample"):
        open_sample(root=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="it has one, val"):
        open_sample(split="train")
    with pytest.raises(UsageError, match="did you mean pond"):
        open_sample(sequences=["ponds"])
