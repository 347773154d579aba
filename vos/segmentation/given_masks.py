"""Which mask file belongs to which frame: by the name of the frame, or by its number.

Files of annotations hold masks of several frames: COCO, YouTube-VIS and Label Studio (``.json``),
CVAT's own form (``.xml``, or a ``.zip`` with one), MOTS PNG, and PNGs named by their frames (both
``.zip``).
"""

from __future__ import annotations

import logging
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from vos.errors import MissingError, UsageError, VosError, near_names
from vos.files import read_json
from vos.media import Video, object_ids, open_video, read_mask
from vos.media.cvat import holds_cvat, read_cvat
from vos.media.label_studio import is_label_studio, read_label_studio
from vos.media.listing import is_hidden
from vos.media.masks import fit_to_frame
from vos.media.mots import read_named_mots
from vos.media.rle import names_in_rle, read_named_rle
from vos.media.shapes import Annotations, Frame
from vos.media.video_folder import FrameFolder

log = logging.getLogger("vos")

ANNOTATIONS = (".json", ".zip", ".xml")


class MaskFile(NamedTuple):
    """A mask file, and the frame that it was said to belong to, if it was said."""

    path: Path
    frame: str | None = None


class FrameMask(NamedTuple):
    """A mask that was read, and what its file says.

    Attributes:
        index: of the frame.
        mask: (H, W) uint8.
        path: of the file.
        names: of objects by id, where a file of annotations names them.
    """

    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody wants here
    mask: np.ndarray
    path: Path
    names: Mapping[int, str]


class Given(NamedTuple):
    """A video, and the masks that were given of it.

    Attributes:
        video: without the images that are masks.
        masks: (H, W) uint8 by frame index.
        files: of the masks.
        names: of objects by id, where a file of annotations names them.
    """

    video: Video
    masks: dict[int, np.ndarray]
    files: list[Path]
    names: dict[int, str]


def parse_mask_options(options: Sequence[str]) -> list[MaskFile]:
    """Return ``["first.png", "40:later.png", "shot_0103:last.png"]`` as mask files.

    Raises:
        UsageError: there is none, or one without a name.
    """
    masks = []
    for option in options:
        if not option:
            raise UsageError("the name of a mask is empty: `mask` takes FILE, or FRAME:FILE")
        masks.append(MaskFile(Path(option)) if Path(option).exists() else _said(option))
    if not masks:
        raise UsageError("no mask given: `mask=FILE` for the first frame, `mask=12:FILE` for 12")
    return masks


def open_with_masks(video: Path, masks: Sequence[MaskFile], *, fill_boxes: bool = False) -> Given:
    """Open a video and read its masks; masks that lie among the frames are no frames.

    A mask belongs to the frame that it was said to belong to, else to the frame whose name it
    bears, else to the first.

    Args:
        fill_boxes: take boxes in files of annotations for masks.

    Raises:
        MissingError: the video or a mask is not there.
        UsageError: a mask that is a folder, a frame that is not there, two masks for one frame, or
            annotations that are no masks for certain.
        VosError: the video or a mask cannot be read.
    """
    for mask in masks:
        if not mask.path.exists():
            raise MissingError(f"there is no mask {mask.path}: `mask` takes FILE, or FRAME:FILE")
        if mask.path.is_dir():
            raise UsageError(f"{mask.path} is a folder: give `mask` each of the files in it")
    opened = open_video(video, leave_out=[mask.path for mask in masks])
    read: dict[int, np.ndarray] = {}
    files: dict[Path, None] = {}
    objects: dict[int, str] = {}
    for found in read_masks(masks, opened, fill_boxes=fill_boxes):
        read[found.index], files[found.path] = found.mask, None
        objects.update(found.names)
    return Given(opened, read, list(files), objects)


def read_masks(
    masks: Sequence[MaskFile], video: Video, *, fill_boxes: bool = False
) -> Iterator[FrameMask]:
    """Yield the masks of frames of a video that files hold.

    Args:
        fill_boxes: take boxes in files of annotations for masks.

    Raises:
        UsageError, VosError: as `open_with_masks`.
    """
    names = frame_numbers(video)
    found: dict[int, Path] = {}
    for mask in masks:
        said, shown = _masks_in(mask, video, names, fill_boxes)
        for index, ids in shown:
            if index in found:
                frame = video.frame_name(index) if names else str(index)
                raise UsageError(f"two masks for frame {frame}: {found[index]} and {mask.path}")
            found[index] = mask.path
            yield FrameMask(index, ids, mask.path, said)


def find_masks(folder: Path, video: Path) -> list[MaskFile]:
    """Return the mask files of a video in a folder of masks.

    ``<video>.png`` is that of the first frame. In ``<video>/`` a mask has the name of its frame
    where the video is a folder of frames, or its number. Hidden files are none.

    Raises:
        MissingError: there is none.
    """
    name = video.name if video.is_dir() else video.stem
    single = folder / f"{name}.png"
    if single.is_file():
        return [MaskFile(single, "0")]
    paths = _visible_masks(folder / name)
    if not paths:
        raise MissingError(f"there is no mask {single}, and none in {folder / name}")
    return [MaskFile(path, path.stem) for path in paths]


def _visible_masks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.png") if not is_hidden(path))


def _said(option: str) -> MaskFile:
    """Return ``FRAME:FILE`` as a mask file; names of frames and of files may hold colons, too."""
    colons = [at for at, sign in enumerate(option) if sign == ":"]
    pairs = [(option[:at], option[at + 1 :]) for at in colons]
    pairs = [(frame, path) for frame, path in pairs if path and not _is_drive(frame, path)]
    if not pairs:
        return MaskFile(Path(option))
    frame, path = next((pair for pair in pairs if Path(pair[1]).exists()), pairs[0])
    return MaskFile(Path(path), frame)


def _is_drive(frame: str, path: str) -> bool:
    return len(frame) == 1 and frame.isalpha() and path[0] in "/\\"


def _masks_in(
    mask: MaskFile, video: Video, names: dict[str, int], fill_boxes: bool
) -> tuple[Mapping[int, str], Iterator[tuple[int, np.ndarray]]]:
    """Return the names of objects, and the masks of a file with the indices of their frames."""
    path = mask.path
    if path.suffix.lower() not in ANNOTATIONS:
        index = _frame_of(mask, video, names)
        return {}, iter([(index, fit_to_frame(path, read_mask(path), video.size))])
    if mask.frame is not None:
        raise UsageError(
            f"{path} says itself of which frames its masks are: leave out {mask.frame}:"
        )
    annotations = _read_annotations(path, video.size, fill_boxes)
    return annotations.names, _shown(path, annotations.masks, video, names)


def _read_annotations(path: Path, size: tuple[int, int], fill_boxes: bool) -> Annotations:
    suffix = path.suffix.lower()
    if suffix == ".xml" or (suffix == ".zip" and holds_cvat(path)):
        return read_cvat(path, size=size, fill_boxes=fill_boxes)
    if suffix == ".zip":
        if _holds_plain_masks(path):
            return Annotations({}, _masks_in_zip(path))
        return read_named_mots(path)
    content = read_json(path)
    if is_label_studio(content):
        return read_label_studio(path, content, fill_boxes=fill_boxes)
    return Annotations(names_in_rle(content), read_named_rle(path, content))


def _shown(
    path: Path,
    masks: Iterable[tuple[Frame, np.ndarray]],
    video: Video,
    names: dict[str, int],
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the masks that show an object, by index."""
    shown = 0
    for frame, ids in masks:
        if object_ids(ids):  # others may be frames that nobody looked at
            shown += 1
            index = frame if isinstance(frame, int) else _annotated_frame(path, frame, names)
            yield index, fit_to_frame(path, ids, video.size)
    if not shown:
        raise UsageError(f"{path} shows no object on any frame")


def _holds_plain_masks(path: Path) -> bool:
    """Tell whether an archive holds masks that are no MOTS PNG."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        inside = [PurePosixPath(name) for name in archive.namelist()]
    masks = [name for name in inside if name.suffix.lower() == ".png"]
    return bool(masks) and not any(name.parent.name == "instances" for name in masks)


def _masks_in_zip(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the PNGs of an archive as `read_mask` reads them, by the names of their frames."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(prefix="vos-mask-") as place:
        inside = [PurePosixPath(name) for name in archive.namelist()]
        for name in sorted(name for name in inside if name.suffix.lower() == ".png"):
            if is_hidden(Path(name.name)) or "__MACOSX" in name.parts:
                continue
            file = Path(place) / "mask.png"
            try:
                file.write_bytes(archive.read(str(name)))
            except (zipfile.BadZipFile, zlib.error) as error:
                raise VosError(f"{path}: {name} is damaged: {error}") from error
            try:
                mask = read_mask(file)
            except VosError as error:
                raise type(error)(str(error).replace(str(file), f"{path}: {name}")) from error
            yield name.stem, mask


def _annotated_frame(path: Path, name: str, names: dict[str, int]) -> int:
    """Return the frame of this name or, in a video file, of the number that its name ends in."""
    number = re.search(r"[0-9]+$", name)
    if name in names:
        return names[name]
    if names or number is None:
        raise UsageError(
            f"{path} has a mask of {name}, which is no frame: {near_names(name, names)}"
        )
    return int(number[0])


def frame_numbers(video: Video) -> dict[str, int]:
    """Map the names of the frames of a folder to their numbers; of a file there are none."""
    if not isinstance(video, FrameFolder):
        return {}
    return {video.frame_name(index): index for index in range(video.count_frames())}


def _frame_of(mask: MaskFile, video: Video, names: dict[str, int]) -> int:
    if mask.frame is not None:
        return named_frame(mask.path, mask.frame, names)
    stem = mask.path.stem
    if stem in names or (not names and _is_written_number(stem, video)):
        index = names[stem] if names else int(stem)
        if index:
            log.info("%s: for frame %s, whose name it has", mask.path, stem)
        return index
    return 0


def named_frame(what: object, frame: str, names: dict[str, int]) -> int:
    """Return the frame of a name (of a folder of frames) or of a number.

    Args:
        what: that is on the frame, for messages.
        names: what `frame_numbers` returns.

    Raises:
        UsageError: there is no such frame.
    """
    if frame in names:
        return names[frame]
    if re.fullmatch("[0-9]+", frame):
        return int(frame)
    if names:
        raise UsageError(
            f"{what} has neither the name nor the number of a frame ({frame}): "
            f"{near_names(frame, names)}"
        )
    raise UsageError(
        f"{what} has not the number of a frame ({frame}): those of a video file are numbered from 0"
    )


def _is_written_number(stem: str, video: Video) -> bool:
    """Tell whether a stem is a frame number of a video file as vos writes it: 00012."""
    return re.fullmatch("[0-9]{5,}", stem) is not None and video.frame_name(int(stem)) == stem
