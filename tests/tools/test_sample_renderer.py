"""The renderer of the sample: the same pixels everywhere, exact masks, and the shipped files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from render_sample import render_sample
from sample_renderer.noise import Random, noise
from sample_renderer.render import Key, Layer, Scene, at, render
from sample_renderer.scenes import SCENES, park, table
from sample_renderer.shapes import Blob

from vos.datasets.sample import sample_folder
from vos.errors import VosError
from vos.media import read_image


def test_pixels_are_those_of_every_other_machine():
    # Golden values: a change here changes every figure on the sample.
    hashes = {}
    for make in (table, park):
        digest = hashlib.sha256()
        for index, (frame, mask) in enumerate(render(make())):
            if index % 12 == 0:
                digest.update(frame.tobytes() + mask.tobytes())
        hashes[make.__name__] = digest.hexdigest()[:16]
    assert hashes == GOLDEN


GOLDEN = {"table": "657a3d167c790b7d", "park": "ad896dde8bf20156"}


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


def test_the_shipped_files_are_what_the_program_writes(tmp_path: Path) -> None:
    render_sample(tmp_path / "sample", scenes=(table,))
    shipped = sample_folder()
    written = sorted(path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png"))
    assert len(written) == 60
    for path in written:
        other = shipped / path.relative_to(tmp_path / "sample")
        if path.suffix == ".png":
            assert path.read_bytes() == other.read_bytes()
        else:  # another libjpeg may pack the same numbers otherwise
            assert np.array_equal(read_image(path), read_image(other))
            assert np.array_equal(Image.open(path), Image.open(other))
    again, tracks = np.load(tmp_path / "sample/tracks.npz"), np.load(shipped / "tracks.npz")
    np.testing.assert_allclose(again["table/points"], tracks["table/points"], atol=1e-5)
    assert np.array_equal(again["table/visible"], tracks["table/visible"])
    with pytest.raises(VosError, match="exists already"):
        render_sample(tmp_path / "sample", scenes=(table,))


def test_every_scene_is_shipped() -> None:
    listed = (sample_folder() / "ImageSets/2017/val.txt").read_text().split()
    assert listed == [make.__name__ for make in SCENES]
