"""Training clips: folders of videos, of frames or of photos, decoded once into a uint8 cache.

A clip is a run of frames of one size. A photo is a clip of one frame. Nothing here needs labels.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vos.datasets.on_demand import FramesOnDemand, read_list
from vos.errors import MissingError, UsageError, VosError
from vos.files import atomic_path, read_json, write_json
from vos.machine import processors
from vos.media.listing import in_natural_order, is_hidden, is_image, is_video
from vos.progress import progress

if TYPE_CHECKING:
    from vos.media.video_base import Video

log = logging.getLogger("vos")

CACHES = ("memory", "disk", "none")
UNUSED_DAYS = 30
_OF_CACHE = re.compile(r"[0-9a-f]{32}\.(npy|json)")  # names that `_cached` gives


class CacheError(VosError):
    """The cache of decoded clips cannot be written."""


@dataclass(frozen=True)
class ClipSource:
    """Where the frames of one clip come from: one video file, or image files in order."""

    name: str
    files: tuple[Path, ...]

    @property
    def is_video(self) -> bool:
        """Whether the clip is a video file."""
        return is_video(self.files[0])


@dataclass(frozen=True)
class Clip:
    """A clip: ``frames`` is (T, H, W, 3) uint8 RGB, in memory, mapped from disk or on demand."""

    name: str
    frames: np.ndarray | FramesOnDemand

    def __len__(self) -> int:
        return len(self.frames)


def find_clips(paths: Sequence[Path]) -> list[ClipSource]:
    """List the clips under ``paths``, in a fixed order.

    A path is a video, a photo, a list file (``.txt``, a path per line), or a folder that is
    searched with all its sub-folders. In a
    folder, every video is a clip. Images are the frames of one clip when their names differ
    only by evenly spaced numbers (``00000.jpg``, ``00001.jpg``, ...); where some numbers are
    missing, the clip is split there. Else each image is a photo. Folders named ``Annotations``
    (masks) and hidden ones are passed over.

    Raises:
        MissingError: a path does not exist.
        UsageError: nothing to train on was found.
    """
    sources: list[ClipSource] = []
    for path in paths:
        if not path.exists():
            raise MissingError(f"no training data at {path}: pass `data` with an existing path")
        if path.suffix.lower() == ".txt":
            sources += find_clips(read_list(path))
        else:
            sources += [ClipSource(path.name, (path,))] if path.is_file() else _search(path)
    if not sources:
        places = ", ".join(str(path) for path in paths)
        raise UsageError(f"no video, folder of frames or photo found in {places}")
    return sources


def _search(folder: Path) -> Iterator[ClipSource]:
    entries = in_natural_order(entry for entry in folder.iterdir() if not is_hidden(entry))
    files = [entry for entry in entries if entry.is_file()]
    yield from (ClipSource(file.name, (file,)) for file in files if is_video(file))
    images = [file for file in files if is_image(file)]
    runs = _runs(images)
    if len(runs) == 1:
        yield ClipSource(folder.name, tuple(images))
    elif runs:
        for run in runs:
            yield ClipSource(f"{folder.name} from {run[0].stem}", tuple(run))
    else:
        yield from (ClipSource(image.name, (image,)) for image in images)
    for entry in entries:
        if entry.is_dir() and entry.name != "Annotations":
            yield from _search(entry)


def _runs(images: Sequence[Path]) -> list[list[Path]]:
    """Runs of frames: evenly spaced numbers behind one prefix; none if the images are photos.

    Photos may be numbered with gaps too: where numbers are missing, most steps must be alike, and
    all images of one size.
    """
    matches = [re.fullmatch(r"(.*?)(\d+)", image.stem) for image in images]
    found = [match for match in matches if match]
    if len(images) < 2 or len(found) < len(images) or len({match[1] for match in found}) > 1:
        return []
    numbers = [int(match[2]) for match in found]
    steps = [after - before for before, after in pairwise(numbers)]
    step, count = Counter(steps).most_common(1)[0]
    if step == 0 or 2 * count <= len(steps):
        return []
    if count < len(steps) and not _have_one_size(images):
        return []
    runs = [[images[0]]]
    for image, distance in zip(images[1:], steps, strict=True):
        if distance == step:
            runs[-1].append(image)
        else:
            runs.append([image])
    return runs


def _have_one_size(images: Sequence[Path]) -> bool:
    from vos.media.images import image_size

    try:
        return len({image_size(image) for image in images}) == 1
    except VosError:
        return False


def load_clips(
    sources: Sequence[ClipSource],
    *,
    short_side: int,
    cache: str = "memory",
    cache_folder: Path | None = None,
    workers: int | None = None,
    warn: Callable[[str], None] = log.warning,
) -> list[Clip]:
    """Decode every clip, shrunk so that its shorter side is at most ``short_side`` pixels.

    Args:
        cache: ``memory``, or ``disk`` for files under ``cache_folder`` that are mapped, kept and
            found again by later runs, or ``none``: frames are decoded each time they are asked for.
        warn: told in one line of each clip that cannot be decoded; such a clip is left out.

    Raises:
        VosError: no clip could be decoded.
        CacheError: the cache on disk cannot be written.
        UsageError: unknown kind of cache.
    """
    if cache not in CACHES:
        raise UsageError(f"unknown cache {cache!r}: use one of {', '.join(CACHES)}")
    if cache == "disk" and cache_folder is None:
        raise UsageError("the disk cache needs a folder")

    def load(source: ClipSource) -> Clip | str:
        try:
            if cache_folder is not None and cache == "disk":
                return Clip(source.name, _cached(source, short_side, cache_folder))
            if cache == "none":
                return Clip(source.name, _on_demand(source, short_side))
            return Clip(source.name, decode(source, short_side))
        except CacheError:
            raise
        except VosError as error:
            return f"skipped {source.files[0]}: {error}"

    clips: list[Clip] = []
    with ThreadPoolExecutor(workers or processors()) as pool:
        results = pool.map(load, sources)
        try:
            for result in progress(
                results, total=len(sources), description="decoding", unit="clip"
            ):
                if isinstance(result, str):
                    warn(result)
                else:
                    clips.append(result)
        except CacheError:
            pool.shutdown(cancel_futures=True)
            raise
    if not clips:
        raise VosError(f"none of the {len(sources)} clips could be decoded")
    return clips


def decode(source: ClipSource, short_side: int) -> np.ndarray:
    """Return all frames of a clip, (T, H, W, 3) uint8 RGB, shorter side at most ``short_side``.

    Raises:
        VosError: the clip holds no frame that can be decoded, or frames of several sizes.
    """
    frames = [_shrink(frame, short_side) for frame in _read(source)]
    if not frames:
        raise VosError("no frame could be decoded")
    if len({frame.shape for frame in frames}) > 1:
        raise VosError("its frames differ in size")
    return np.stack(frames)


def _on_demand(source: ClipSource, short_side: int) -> FramesOnDemand:
    video = _open(source)
    return FramesOnDemand(video.count_frames(), lambda i: _shrink(video[i], short_side))


def _open(source: ClipSource) -> Video:
    from vos.media.picture_stack import PictureStack
    from vos.media.video_base import FOLDER_FRAME_RATE
    from vos.media.video_folder import FrameFolder

    if source.is_video:
        from vos.media.video import open_video  # needs PyAV, which a training machine may lack

        return open_video(source.files[0])
    if len(source.files) == 1:
        return PictureStack(source.files[0])
    return FrameFolder(source.files[0].parent, source.files, FOLDER_FRAME_RATE)


def _read(source: ClipSource) -> Iterator[np.ndarray]:
    if not source.is_video:
        yield from _open(source)
        return
    try:
        import av  # noqa: F401
    except ImportError:  # training machines without PyAV still have OpenCV's decoder
        yield from _read_with_opencv(source.files[0])
    else:
        yield from _open(source)


def _read_with_opencv(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            found, frame = capture.read()
            if not found:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _shrink(frame: np.ndarray, short_side: int) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return frame
    size = (round(width * scale), round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _cached(source: ClipSource, short_side: int, folder: Path) -> np.ndarray:
    """Map the decoded clip from ``folder``, decoding it first when it is not there yet."""
    path = folder / f"{_fingerprint(source, short_side)}.npy"
    failure = path.with_suffix(".json")
    if failure.exists():
        raise VosError(read_json(failure)["error"])
    if not path.exists():
        try:
            frames = decode(source, short_side)
        except VosError as error:
            with _cache_errors():
                write_json(failure, {"file": str(source.files[0]), "error": str(error)})
            raise
        with _cache_errors(), atomic_path(path) as temporary:
            np.save(temporary, frames)
    with suppress(OSError):
        os.utime(path)  # for `forget_unused`
    return np.load(path, mmap_mode="r")


def forget_unused(folder: Path, days: float = UNUSED_DAYS) -> None:
    """Remove the decoded clips of ``folder`` that no run has used for this long.

    A clip whose video has changed is decoded anew, and what it was before is never used again.
    """
    for path in folder.glob("*"):
        with suppress(OSError):  # somebody else removes them, too
            if _OF_CACHE.fullmatch(path.name) and _days_since(path.stat().st_mtime) > days:
                path.unlink()


def _days_since(moment: float) -> float:
    return (time.time() - moment) / 86_400


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except VosError as error:
        raise CacheError(
            f"the cache of decoded clips: {error} (data.cache_folder names the folder; "
            "data.cache=memory needs none)"
        ) from error


def _fingerprint(source: ClipSource, short_side: int) -> str:
    """Return a name for the decoded clip that changes with the files, their dates and the size."""
    facts = [(str(p.absolute()), p.stat().st_size, p.stat().st_mtime_ns) for p in source.files]
    text = json.dumps([facts, short_side])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
