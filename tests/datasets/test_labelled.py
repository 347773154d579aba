"""Labelled images: every layout gives the same images, classes and parts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from vos.datasets.labelled import open_labelled
from vos.errors import MissingError, UsageError, VosError
from vos.media.images import write_image


def image(label: int, index: int) -> np.ndarray:
    return np.random.default_rng([label, index]).integers(0, 256, (9, 7, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of four train and two test images."""
    for part, indices in (("train", range(4)), ("test", range(4, 6))):
        for label, name in enumerate(("cat", "dog")):
            for index in indices:
                write_image(tmp_path / "set" / part / name / f"{index}.png", image(label, index))
    return tmp_path / "set"


@pytest.fixture
def archive(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as file:
        for item in sorted(folder.rglob("*.png")):
            file.write(item, Path("top") / item.relative_to(folder))
    return path


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    numbers = {"train": range(4), "test": range(4, 6)}
    values = {}
    for part, indices in numbers.items():
        order = [(label, index) for label in range(2) for index in indices]
        values[f"{part}_images"] = np.stack([image(*place) for place in order])
        values[f"{part}_labels"] = np.array([label for label, _ in order], np.uint8)
    np.savez(path, **values)
    return path


@pytest.mark.parametrize("layout", ["folder", "archive", "arrays"])
def test_each_layout_gives_the_same(layout: str, request: pytest.FixtureRequest) -> None:
    dataset = open_labelled(request.getfixturevalue(layout))
    assert len(dataset.classes) == 2
    assert dataset.train.labels.tolist() == [0] * 4 + [1] * 4
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(dataset.train.read(5), image(1, 1))
    np.testing.assert_array_equal(dataset.test.read(3), image(1, 5))
    few = dataset.train.subset(2)
    assert few.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(few.read(3), image(1, 1))


def test_without_parts_the_last_fifth_of_a_class_is_the_test(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(10):
            write_image(tmp_path / name / f"{index}.png", image(ord(name), index))
    dataset = open_labelled(tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    np.testing.assert_array_equal(dataset.test.read(0), image(ord("a"), 8))


def test_grey_arrays_become_rgb(tmp_path: Path) -> None:
    grey = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    labels = np.array([3, 8])
    np.savez(tmp_path / "grey.npz", x_train=grey, y_train=labels, x_test=grey, y_test=labels)
    dataset = open_labelled(tmp_path / "grey.npz")
    assert dataset.classes == ("3", "8")
    assert dataset.train.labels.tolist() == [0, 1]
    assert dataset.train.read(1).shape == (4, 4, 3)
    assert (dataset.train.read(1) == grey[1][:, :, None]).all()


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no labelled images at"):
        open_labelled(tmp_path / "nowhere")
    write_image(tmp_path / "one" / "cat" / "1.png", image(0, 0))
    with pytest.raises(UsageError, match="one folder a class"):
        open_labelled(tmp_path / "one")
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(VosError, match="damaged"):
        open_labelled(tmp_path / "broken.zip")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(UsageError, match="lacks train_images"):
        open_labelled(tmp_path / "other.npz")


def test_the_real_sets(data_root: Path) -> None:
    cifar = open_labelled(data_root / "images" / "cifar10-20k.zip")
    assert (len(cifar.train), len(cifar.test), len(cifar.classes)) == (10_000, 10_000, 10)
    assert cifar.train.read(0).shape == (32, 32, 3)
    digits = open_labelled(data_root / "images" / "mnist.npz")
    assert (len(digits.train), len(digits.test)) == (60_000, 10_000)
    assert digits.train.read(0).shape == (28, 28, 3)
