"""MOTS PNG: the values that CVAT reads, and back."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.errors import MissingError, UsageError, VosError
from vos.media import read_mots, write_mots
from vos.media.mots import read_named_mots


def masks() -> list[tuple[str, np.ndarray]]:
    random = np.random.default_rng(0)
    values = np.array([0, 1, 7, 254, 255], np.uint8)
    return [(f"{index:05d}", random.choice(values, (13, 21))) for index in range(4)]


def save(folder: Path, name: str, values: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(folder / f"{name}.png")


def test_the_archive_is_as_cvat_wants_it(tmp_path: Path) -> None:
    write_mots(tmp_path / "tracks.zip", masks(), "animal")
    with zipfile.ZipFile(tmp_path / "tracks.zip") as archive:
        names = archive.namelist()
        assert archive.read("default/instances/labels.txt") == b"animal\n"
        image = Image.open(io.BytesIO(archive.read("default/instances/00002.png")))
        values = np.asarray(image)
    assert len(names) == 5
    assert image.mode == "I;16"
    # 1000 * class + instance, 10000 to ignore.
    expected = {0: 0, 1: 1001, 7: 1007, 254: 1254, 255: 10000}
    for id, value in expected.items():
        np.testing.assert_array_equal(values == value, masks()[2][1] == id)


def test_there_and_back_from_archive_and_folder(tmp_path: Path) -> None:
    write_mots(tmp_path / "tracks.zip", masks(), "animal")
    with zipfile.ZipFile(tmp_path / "tracks.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    for path in (tmp_path / "tracks.zip", tmp_path / "unpacked", tmp_path / "unpacked/default"):
        for (name, mask), (known, expected) in zip(read_mots(path), masks(), strict=True):
            assert name == known
            assert mask.dtype == np.uint8
            np.testing.assert_array_equal(mask, expected)


def test_classes_share_one_numbering(tmp_path: Path) -> None:
    save(tmp_path / "train" / "instances", "a", np.array([[0, 1001, 2002]], np.uint16))
    save(tmp_path / "train" / "instances", "b", np.array([[2001, 0, 0]], np.uint16))
    stream = read_mots(tmp_path)
    np.testing.assert_array_equal(next(stream)[1], [[0, 1, 2]])
    with pytest.raises(VosError, match=r"b\.png gives instance 1 to class 2, which class 1 has"):
        next(stream)


def test_objects_are_called_as_their_classes(tmp_path: Path) -> None:
    folder = tmp_path / "instances"
    save(folder, "a", np.array([[0, 1001, 2002, 3004]], np.uint16))
    save(folder, "b", np.array([[2003, 10000, 2002, 0]], np.uint16))
    nameless = read_named_mots(tmp_path)
    assert len(list(nameless.masks)) == 2 and nameless.names == {}
    (folder / "labels.txt").write_bytes("Katze\r\nBär\r\n".encode())
    names, frames = (found := read_named_mots(tmp_path)).names, found.masks
    next(frames)
    assert names == {1: "Katze", 2: "Bär"}  # class 3 has no name
    next(frames)
    assert names == {1: "Katze", 2: "Bär", 3: "Bär"}


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no"):
        list(read_mots(tmp_path / "nothing.zip"))
    with pytest.raises(MissingError, match="holds no MOTS PNG masks"):
        list(read_mots(tmp_path))
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(VosError, match="no zip archive"):
        list(read_mots(tmp_path / "broken.zip"))
    cases = [
        (np.zeros((2, 2), np.uint8), "not a 16-bit grey image"),
        (np.full((2, 2), 17, np.uint16), "holds the value 17"),
        (np.full((2, 2), 1999, np.uint16), "instances are 1 to 254"),
    ]
    for number, (values, words) in enumerate(cases):
        folder = tmp_path / f"bad {number}"
        save(folder / "instances", "00000", values)
        with pytest.raises(VosError, match=words):
            list(read_mots(folder))
    folder = tmp_path / "not an image" / "instances"
    folder.mkdir(parents=True)
    (folder / "00000.png").write_bytes(b"text")
    with pytest.raises(VosError, match="is no image"):
        list(read_mots(folder.parent))


def test_objects_of_one_name_are_one_class(tmp_path: Path) -> None:
    mask = np.array([[0, 2, 5, 9]], np.uint8)
    write_mots(tmp_path / "a.zip", [("frame_000000", mask)], {2: "cat", 5: "dog", 9: "cat"})
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("default/instances/labels.txt") == b"cat\ndog\n"
        image = Image.open(io.BytesIO(archive.read("default/instances/frame_000000.png")))
        assert np.asarray(image).tolist() == [[0, 1002, 2005, 1009]]
    np.testing.assert_array_equal(next(read_mots(tmp_path / "a.zip"))[1], mask)
    with pytest.raises(UsageError, match="up to 64 classes, not 65"):
        write_mots(tmp_path / "b.zip", [], {id: f"kind {id}" for id in range(1, 66)})
    assert not (tmp_path / "b.zip").exists()
