"""Masks as MOTS PNG, the form in which CVAT takes and gives tracks of masks.

``SUBSET/instances/NAME.png`` is a 16-bit grey image: 0 is background, any other value is
1000 * class + instance; ``SUBSET/instances/labels.txt`` names the classes, the first being class
1. Defined in "MOTS: Multi-Object Tracking and Segmentation" (Voigtlaender et al., CVPR 2019),
where 10000 marks pixels to ignore.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from vos.errors import MissingError, UsageError, VosError
from vos.files import atomic_path
from vos.media.masks import VOID
from vos.media.shapes import Annotations

MOTS_CLASS = 1000
_IGNORE = 10000
_MOST_CLASSES = 64  # 64254 is the last value of 16 bits
_FOLDER = "instances"
_LABELS = "labels.txt"


def write_mots(
    path: Path | str,
    masks: Iterable[tuple[str, np.ndarray]],
    label: str | Mapping[int, str],
) -> None:
    """Write masks as an archive for CVAT ("MOTS PNG 1.0"), one frame at a time.

    Args:
        path: the ``.zip``; its folder is made if need be.
        masks: pairs of the frame's name, without suffix as CVAT knows it, and (H, W) uint8 ids.
            Ids become instances; void becomes the value to ignore.
        label: name of the one class of all objects in the CVAT project, or names by object id:
            objects of one name are one class, and ids without a name are left out.

    Raises:
        UsageError: more than 64 classes, which 16 bits do not hold.
        VosError: the file cannot be written.
    """
    names = dict.fromkeys(range(1, VOID), label) if isinstance(label, str) else label
    classes = list(dict.fromkeys(names.values()))
    if len(classes) > _MOST_CLASSES:
        raise UsageError(
            f"MOTS PNG holds up to {_MOST_CLASSES} classes, not {len(classes)}: "
            "give objects of one kind one name"
        )
    values = np.zeros(256, np.uint16)
    for id, name in names.items():
        values[id] = MOTS_CLASS * (classes.index(name) + 1) + id
    values[VOID] = _IGNORE
    with atomic_path(Path(path)) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        labels = "".join(f"{name}\n" for name in classes)
        archive.writestr(f"default/{_FOLDER}/{_LABELS}", labels)
        for name, mask in masks:
            packed = io.BytesIO()
            Image.fromarray(values[mask]).save(packed, format="PNG", compress_level=1)
            archive.writestr(f"default/{_FOLDER}/{name}.png", packed.getvalue())


def read_mots(path: Path | str) -> Iterator[tuple[str, np.ndarray]]:
    """Read MOTS PNG masks, frame by frame in the order of their names.

    Args:
        path: an archive as CVAT exports it, or a folder unpacked from one.

    Yields:
        The frame's name and its mask, (H, W) uint8: the instance numbers as ids, 255 to ignore.

    Raises:
        MissingError: nothing there, or no masks in it.
        VosError: broken, not 16 bits deep, an instance beyond 254, or one number in two classes.
    """
    return _masks(Path(path), {})


def read_named_mots(path: Path | str) -> Annotations:
    """Return MOTS PNG masks as `read_mots` does, with the names of their objects.

    An object is called as its class is in ``labels.txt``; several may share a name. Which class an
    object has is known from the masks alone, so the names grow as masks are read.
    """
    names: dict[int, str] = {}
    return Annotations(names, _masks(Path(path), names))


def _masks(path: Path, names: dict[int, str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the masks of frames; the objects that they show go to ``names``."""
    if not path.exists():
        raise MissingError(f"there is no {path}: give a MOTS PNG archive or folder")
    with ExitStack() as stack:
        root: Path | zipfile.Path = path
        if path.is_file():
            try:
                root = zipfile.Path(stack.enter_context(zipfile.ZipFile(path)))
            except zipfile.BadZipFile as error:
                raise VosError(f"{path} is no zip archive: {error}") from error
        folder, files = _instances(path, root)
        labels = dict(enumerate(_labels(folder / _LABELS), start=1))
        classes: dict[int, int] = {}
        for name in sorted(files):
            try:
                with Image.open(io.BytesIO(files[name].read_bytes())) as image:
                    values = np.asarray(image)
            except (OSError, SyntaxError, zipfile.BadZipFile) as error:
                raise VosError(f"{path}: {name}.png is no image: {error}") from error
            where = f"{path}: {name}.png"
            if values.ndim != 2 or values.dtype not in (np.uint16, np.int32):
                raise VosError(f"{where} is not a 16-bit grey image, which MOTS masks are")
            mask = ids_of_mots(where, values, classes)
            names.update({id: labels[kind] for id, kind in classes.items() if kind in labels})
            yield name, mask


def _labels(path: Path | zipfile.Path) -> list[str]:
    """Names of the classes, the first being that of class 1; none where they are not told."""
    return path.read_bytes().decode(errors="replace").splitlines() if path.is_file() else []


def _instances(
    path: Path, root: Path | zipfile.Path
) -> tuple[Path | zipfile.Path, dict[str, Path | zipfile.Path]]:
    """The folder of the one subset that has masks, and its mask files by frame name."""
    folders = [root / _FOLDER, *(item / _FOLDER for item in root.iterdir() if item.is_dir())]
    found = [
        (folder, {item.name.removesuffix(".png"): item for item in _files(folder)})
        for folder in folders
        if folder.is_dir()
    ]
    found = [(folder, files) for folder, files in found if files]
    if not found:
        raise MissingError(f"{path} holds no MOTS PNG masks: they lie in SUBSET/{_FOLDER}/*.png")
    if len(found) > 1:
        raise VosError(f"{path} holds masks of {len(found)} subsets: give one of them")
    return found[0]


def _files(folder: Path | zipfile.Path) -> Iterator[Path | zipfile.Path]:
    return (item for item in folder.iterdir() if item.name.lower().endswith(".png"))


def ids_of_mots(
    where: str, values: np.ndarray, classes: dict[int, int] | None = None
) -> np.ndarray:
    """Object ids, (H, W) uint8, of the values of one frame.

    Args:
        where: what messages begin with.
        values: (H, W) of 1000 * class + instance.
        classes: remembers the class of each id from frame to frame.

    Raises:
        VosError: a value without class, an instance beyond 254, or one instance in two classes.
    """
    classes = {} if classes is None else classes
    mask = np.zeros(values.shape, np.uint8)
    for value in np.unique(values).tolist():
        if value == 0:
            continue
        if value == _IGNORE:
            mask[values == value] = VOID
            continue
        kind, instance = divmod(value, MOTS_CLASS)
        if kind == 0 or not 1 <= instance < VOID:
            raise VosError(
                f"{where} holds the value {value}: instances are 1 to {VOID - 1}, in values of "
                f"{MOTS_CLASS} * class + instance"
            )
        if classes.setdefault(instance, kind) != kind:
            raise VosError(
                f"{where} gives instance {instance} to class {kind}, which class "
                f"{classes[instance]} has: object ids must differ between classes"
            )
        mask[values == value] = instance
    return mask
