"""The sample is what its page promises: the same pixels, exact masks, every difficulty in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vos.datasets import open_dataset
from vos.datasets.check import check_davis
from vos.datasets.sample import open_sample, render_sample, sample_folder
from vos.datasets.sample.noise import Random, noise
from vos.datasets.sample.render import Key, Layer, Scene, at, render
from vos.datasets.sample.scenes import SCENES, park, pond, table
from vos.datasets.sample.shapes import Blob
from vos.errors import MissingError, UsageError, VosError


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "sample with spaces"
    render_sample(folder)
    return folder


def test_is_a_whole_davis_folder(sample):
    found = check_davis(sample)
    assert found.problems == ()
    assert (found.sequences, found.frames) == (6, 196)
    names = [scene().name for scene in SCENES[1:2]]
    dataset = open_sample(root=sample, sequences=names)
    assert (dataset.name, dataset.split) == ("sample", "val")
    assert [sequence.name for sequence in dataset] == ["pond"]


def test_holds_what_it_promises(sample):
    clips = {sequence.name: sequence for sequence in open_sample(root=sample)}
    assert max(len(clip.object_ids) for clip in clips.values()) == 5
    assert any(size % 2 for clip in clips.values() for size in clip.size)
    assert all(24 <= len(clip) <= 40 for clip in clips.values())
    seen = np.array([(clips["park"].mask(i) == 1).any() for i in range(len(clips["park"]))])
    assert seen[0] and seen[-1] and (~seen).sum() >= 5, "object 1 leaves and returns"
    for clip in clips.values():
        assert clip.object_ids == list(range(1, len(clip.object_ids) + 1))


def test_pixels_are_those_of_every_other_machine():
    # Golden values: a change here changes every figure on the sample; raise SAMPLE_VERSION with it.
    hashes = {}
    for make in (table, park):
        digest = hashlib.sha256()
        for index, (frame, mask) in enumerate(render(make())):
            if index % 12 == 0:
                digest.update(frame.tobytes() + mask.tobytes())
        hashes[make.__name__] = digest.hexdigest()[:16]
    assert hashes == GOLDEN


GOLDEN = {"table": "657a3d167c790b7d", "park": "ad896dde8bf20156"}


def test_two_renderings_are_equal_byte_for_byte(tmp_path):
    for name in ("a", "b"):
        render_sample(tmp_path / name, scenes=(table,))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*g"))
    assert len(files) == 60
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_colour_alone_does_not_tell_objects_from_the_ground(sample):
    """Pixels labelled by the colours of frame 0 (64 bins) overlap the objects only in part."""
    overlaps = []
    for clip in open_sample(root=sample):
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


def test_masks_are_exact_where_the_geometry_is_known():
    """A disc of radius 20 at (50, 40), doubled: every pixel centre within 40 of it, no other."""
    blank = np.full((8, 8, 3), 90.0)
    disc = Layer(7, Blob(20.0, ()), blank + 60, (Key(0, 50.2, 40.3, 30.0, 2.0),))
    scene = Scene("disc", 101, 81, 1, 0, blank, (disc,), (Key(0, 50, 40),), grain=0.0)
    ((frame, mask),) = render(scene)
    y, x = np.mgrid[:81, :101]
    distance = np.hypot(x - 50.2, y - 40.3)
    assert np.array_equal(mask == 7, distance <= 40.0)
    assert (frame[distance > 55] == 90).all()
    edge = np.abs(distance - 40) < 0.4
    assert len(np.unique(frame[edge])) > 10, "outlines are antialiased"


def test_nearer_layers_hide_farther_ones_and_scenery_has_no_id():
    blank = np.full((8, 8, 3), 90.0)
    far = Layer(1, Blob(20.0, ()), blank, (Key(0, 40, 40),))
    near = Layer(2, Blob(10.0, ()), blank, (Key(0, 50, 40),))
    tree = Layer(0, Blob(5.0, ()), blank, (Key(0, 40, 40),))
    scene = Scene("stack", 81, 81, 1, 0, blank, (far, near, tree), (Key(0, 40, 40),))
    ((_, mask),) = render(scene)
    assert (mask[40, 25], mask[40, 40], mask[40, 50], mask[5, 5]) == (1, 0, 2, 0)


def test_motion_passes_through_its_keys_without_jumps():
    keys = (Key(0, 0, 0, 0, 1.0), Key(10, 50, -20, 90, 2.0), Key(30, 60, 10, 45, 0.5))
    for key in keys:
        assert at(keys, key.time) == pytest.approx(key)
    assert at(keys, -5)[1:] == keys[0][1:] and at(keys, 99)[1:] == keys[-1][1:]
    path = np.array([at(keys, time)[1:5] for time in np.arange(0, 30, 0.1)])
    assert np.abs(np.diff(path, axis=0)).max() < 1.5


def test_noise_tiles_and_uniform_numbers_are_those_of_pcg64():
    picture = noise(Random(3), 64, 96, (4, 6))
    assert picture.min() == 0.0 and picture.max() == 1.0
    inside = np.abs(np.diff(picture, axis=0)).max()
    assert np.abs(picture[0] - picture[-1]).max() <= 1.5 * inside
    expected = np.random.Generator(np.random.PCG64(3)).random(5)
    assert np.array_equal(Random(3).uniform(5), expected)


def test_the_cache_is_rendered_once_and_honours_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("VOS_CACHE", str(tmp_path / "mine"))
    assert sample_folder().parent == tmp_path / "mine"
    monkeypatch.delenv("VOS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "theirs"))
    assert sample_folder().parent == tmp_path / "theirs" / "vos"
    render_sample(sample_folder(), scenes=(pond,))
    before = {path: path.stat().st_mtime_ns for path in sample_folder().rglob("*")}
    assert [clip.name for clip in open_dataset("sample")] == ["pond"]
    assert {path: path.stat().st_mtime_ns for path in sample_folder().rglob("*")} == before


def test_a_rendering_that_fails_leaves_nothing(tmp_path):
    def broken() -> Scene:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_sample(tmp_path / "sample", scenes=(broken,))
    assert list(tmp_path.iterdir()) == []


def test_bad_input(tmp_path, sample, monkeypatch):
    with pytest.raises(VosError, match="exists already"):
        render_sample(sample)
    (tmp_path / "file").write_text("")
    with pytest.raises(VosError, match="cannot write"):
        render_sample(tmp_path / "file" / "sample", scenes=(table,))
    monkeypatch.setenv("VOS_CACHE", str(tmp_path / "file"))
    with pytest.raises(VosError, match="cannot write"):
        open_dataset("sample")
    with pytest.raises(MissingError, match="vos data sample"):
        open_sample(root=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="it has one, val"):
        open_sample(root=sample, split="train")
    with pytest.raises(UsageError, match="did you mean pond"):
        open_sample(root=sample, sequences=["ponds"])
