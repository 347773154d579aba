"""Images with one class each, for probes of frozen features: folders, zip files, ``.npz`` arrays.

Layouts that are understood:

- a folder or a zip file with ``train/CLASS/IMAGE`` and ``test/CLASS/IMAGE`` (or ``val``), at any
  depth;
- a folder or a zip file with ``CLASS/IMAGE`` only: the last fifth of each class is the test part;
- an ``.npz`` file with ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` (or
  ``x_train``, ``y_train``, ``x_test``, ``y_test``), images (N, H, W) or (N, H, W, 3) uint8.
"""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from vos.errors import MissingError, UsageError, VosError
from vos.media.listing import is_image

TRAIN_NAMES, TEST_NAMES = ("train", "training"), ("test", "val", "valid", "validation")
_ARRAYS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)


@dataclass(frozen=True)
class LabelledImages:
    """Images that are read one by one, and the class number of each.

    Attributes:
        labels: (N,) int64, indices of ``classes``.
        read: index -> (H, W, 3) uint8 RGB; may be called from several threads.
    """

    labels: np.ndarray
    read: Callable[[int], np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, per_class: int) -> LabelledImages:
        """Return the first ``per_class`` images of each class, in their order."""
        kept = [np.flatnonzero(self.labels == label)[:per_class] for label in set(self.labels)]
        chosen = np.sort(np.concatenate(kept))
        return LabelledImages(self.labels[chosen], lambda index: self.read(int(chosen[index])))


@dataclass(frozen=True)
class LabelledDataset:
    """A train and a test part over the same classes."""

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages


def open_labelled(path: Path) -> LabelledDataset:
    """Open a folder, a zip file or an ``.npz`` file of labelled images (see the module).

    Raises:
        MissingError: nothing is at ``path``.
        UsageError: it holds no labelled images.
        VosError: the file is damaged.
    """
    if not path.exists():
        raise MissingError(f"no labelled images at {path}: pass a folder, a .zip or an .npz file")
    if path.is_dir():
        files = [item for item in sorted(path.rglob("*")) if is_image(item)]
        names = [PurePosixPath(item.relative_to(path).as_posix()) for item in files]
        return _from_names(path, names, lambda index: _read_file(files[index]))
    if path.suffix.lower() == ".npz":
        return _from_arrays(path)
    if path.suffix.lower() == ".zip":
        return _from_zip(path)
    raise UsageError(f"{path} is no folder, .zip or .npz file of labelled images")


def _read_file(path: Path) -> np.ndarray:
    from vos.media.images import read_image

    return read_image(path)


def _from_zip(path: Path) -> LabelledDataset:
    from PIL import Image, UnidentifiedImageError

    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise VosError(f"{path} is damaged: {error}") from error
    members = sorted(
        name
        for name in archive.namelist()
        if is_image(PurePosixPath(name)) and not name.startswith("__MACOSX/")
    )
    lock = threading.Lock()

    def read(index: int) -> np.ndarray:
        try:
            with lock:
                content = archive.read(members[index])
            with Image.open(io.BytesIO(content)) as image:
                return np.array(image.convert("RGB"))
        except (UnidentifiedImageError, OSError, zipfile.BadZipFile) as error:
            raise VosError(f"{path}: {members[index]} cannot be read: {error}") from error

    return _from_names(path, [PurePosixPath(name) for name in members], read)


def _from_names(
    path: Path, names: Sequence[PurePosixPath], read: Callable[[int], np.ndarray]
) -> LabelledDataset:
    """Parts and classes from the folders that the images are in."""
    classes = tuple(sorted({name.parent.name for name in names}))
    if len(classes) < 2:
        raise UsageError(f"{path} holds no labelled images: one folder a class is expected")
    labels = np.array([classes.index(name.parent.name) for name in names], np.int64)
    parts = np.array([_part(name) for name in names])
    if (parts == "").all():
        parts = _last_fifth(labels)
    for part in ("train", "test"):
        if not (parts == part).any():
            raise UsageError(f"{path} holds no {part} images (a folder {part}/CLASS/...)")

    def choose(part: str) -> LabelledImages:
        chosen = np.flatnonzero(parts == part)
        return LabelledImages(labels[chosen], lambda index: read(int(chosen[index])))

    return LabelledDataset(path.stem, classes, choose("train"), choose("test"))


def _part(name: PurePosixPath) -> str:
    above = [folder.lower() for folder in name.parts[:-2]]
    if any(folder in TRAIN_NAMES for folder in above):
        return "train"
    return "test" if any(folder in TEST_NAMES for folder in above) else ""


def _last_fifth(labels: np.ndarray) -> np.ndarray:
    parts = np.full(len(labels), "train", dtype="<U5")
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        parts[of_class[len(of_class) - len(of_class) // 5 :]] = "test"
    return parts


def _from_arrays(path: Path) -> LabelledDataset:
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = next((keys for keys in _ARRAYS if set(keys) <= set(file.files)), None)
            if keys is None:
                raise UsageError(f"{path} lacks {', '.join(_ARRAYS[0])}: it holds {file.files}")
            train_images, train_labels, test_images, test_labels = (file[key] for key in keys)
    except UsageError:
        raise
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise VosError(f"{path} is no readable .npz file: {error}") from error
    values = np.unique(np.concatenate([train_labels.ravel(), test_labels.ravel()]))

    def part(images: np.ndarray, labels: np.ndarray) -> LabelledImages:
        rgb = images.ndim == 4 and images.shape[3] == 3
        if images.dtype != np.uint8 or len(images) != labels.size or not (images.ndim == 3 or rgb):
            raise VosError(f"{path}: images must be (N, H, W) or (N, H, W, 3) uint8, labels (N,)")
        numbers = np.searchsorted(values, labels.ravel()).astype(np.int64)
        if rgb:
            return LabelledImages(numbers, lambda index: images[index])
        return LabelledImages(numbers, lambda index: np.repeat(images[index][:, :, None], 3, 2))

    return LabelledDataset(
        path.stem,
        tuple(str(value) for value in values),
        part(train_images, train_labels),
        part(test_images, test_labels),
    )
