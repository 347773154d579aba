"""A project as one file: the video, the objects, marks and masks, to be opened again.

A zip archive: ``project.json``, the video in ``video/`` (a file or frames), and in ``work/`` what
`vos.Session` keeps, which opens that folder, too.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.demo.limits import Limits
from vos.demo.objects import ObjectList
from vos.errors import UsageError, VosError
from vos.files import atomic_path
from vos.media import Video
from vos.media.video_folder import FrameFolder
from vos.propagation.propagator import MAX_OBJECTS
from vos.segmentation.mask_store import SAVED

if TYPE_CHECKING:
    from collections.abc import Callable

    from vos.segmentation import Session as MaskSession

_VERSION = 1
_PARTS = re.compile(
    rf"video/(?!\.{{1,2}}$)[^/]{{1,200}}|work/{re.escape(SAVED)}|work/(masks|marks)/[0-9]{{5,9}}\.png"
)


@dataclass(frozen=True)
class Project:
    """A project that was unpacked.

    Attributes:
        video: the file or the folder of frames.
        work: the folder of the `vos.Session`.
        trim: first and last frame to work on.
    """

    name: str
    video: Path
    work: Path
    objects: ObjectList
    trim: tuple[int, int]


def write_project(
    path: Path,
    work: MaskSession,
    *,
    name: str,
    objects: ObjectList,
    trim: tuple[int, int],
    report: Callable[[int, int], None],
) -> None:
    """Write all work on a video; the trim is noted, and nothing is cut."""
    about = {
        "vos project": _VERSION,
        "name": name,
        "objects": [asdict(item) for item in objects],
        "trim": list(trim),
    }
    work.save()
    files = [*_video_files(work.video, name), *_work_files(work.folder)]
    with (
        atomic_path(path) as new,
        zipfile.ZipFile(new, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive,
    ):
        archive.writestr("project.json", json.dumps(about, indent=2, ensure_ascii=False))
        for done, (place, file) in enumerate(files, start=1):
            archive.write(file, place)
            report(done, len(files))


def _video_files(video: Video, name: str) -> Iterator[tuple[str, Path]]:
    if isinstance(video, FrameFolder):
        yield from ((f"video/{frame.name}", frame) for frame in video.frame_paths)
    else:
        yield f"video/{name}{video.path.suffix}", video.path


def _work_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        name = f"work/{file.relative_to(folder).as_posix()}"
        if _PARTS.fullmatch(name):
            yield name, file


def unpack_project(archive: Path, folder: Path, limits: Limits) -> Project:
    """Unpack a project into ``folder``, a new one.

    Nothing is unpacked but what a project holds, and no more than limits allow.

    Raises:
        VosError: not a project, a damaged one, or one that is too large.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            about = json.loads(opened.read("project.json"))
            parts = [part for part in opened.infolist() if _PARTS.fullmatch(part.filename)]
            size = sum(part.file_size for part in parts) / 1e6
            if size > limits.project_megabytes:
                raise VosError(f"The project holds {size:.0f} MB, more than may be opened here")
            for part in parts:
                opened.extract(part, folder)
    except VosError:
        raise
    except (KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
            zlib.error) as error:  # fmt: skip
        raise VosError(f"{archive} is no project, or a damaged one: save it again") from error
    project = _read(archive, about, folder)
    if not (project.work / SAVED).is_file():
        raise VosError(f"{archive} holds no masks: save it again")
    return project


def _read(archive: Path, about: Any, folder: Path) -> Project:
    try:
        if about["vos project"] != _VERSION:
            raise UsageError(f"{archive} was saved by another version of vos: update vos")
        objects = _objects(about["objects"])
        first, last = map(int, about["trim"])
        videos = sorted((folder / "video").iterdir())
        video = videos[0] if len(videos) == 1 else folder / "video"
        name = str(about["name"])
    except VosError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OSError, IndexError) as error:
        raise VosError(f"{archive} is no project, or a damaged one: save it again") from error
    return Project(name, video, folder / "work", objects, (first, last))


def _objects(saved: Any) -> ObjectList:
    objects = ObjectList()
    for item in saved:
        if not 1 <= int(item["id"]) <= MAX_OBJECTS:
            raise ValueError(item["id"])
        known = objects.add(int(item["id"]))
        objects.change(
            known.id,
            name=str(item["name"]),
            colour=str(item["colour"]),
            visible=bool(item["visible"]),
            locked=bool(item["locked"]),
        )
    return objects
