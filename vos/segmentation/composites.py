"""Videos made of frames and masks for editing, all in one walk over the frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vos.errors import MissingError, UsageError, near_names
from vos.media import Video, VideoWriter, read_image
from vos.media.compositing import BACKGROUND, COMPOSITES, OVERLAY, Draw, covering
from vos.media.video_writer import check_suffix
from vos.progress import progress
from vos.runs.folder import RunFolder
from vos.runs.paths import Input, Output


def parse_composites(options: Sequence[str]) -> dict[str, Path]:
    """Return ``["matte=a.mp4", "blur=b.mp4"]`` as files, or folders, by kind.

    Raises:
        UsageError: something that is not KIND=FILE, an unknown kind, or one kind twice.
    """
    files: dict[str, Path] = {}
    for option in options:
        kind, equals, path = option.partition("=")
        if not equals or not path:
            raise UsageError(f"`composites` takes KIND=FILE, not {option!r}")
        _check_kind(kind)
        if kind in files:
            raise UsageError(f"`composites` names {kind} twice: {files[kind]} and {path}")
        files[kind] = Path(path)
    return files


@dataclass(frozen=True)
class Composites:
    """Videos to be made of a video and its masks.

    Attributes:
        files: by kind, a name in `vos.media.compositing.COMPOSITES`.
        background: the picture that the kind ``background`` puts behind the objects.
        sound: copy the sound of the video into them.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    background: Path | None = None
    sound: bool = True

    @classmethod
    def of(
        cls,
        overlay: Path | None,
        others: Mapping[str, Path] | None = None,
        background: Path | None = None,
        *,
        sound: bool = True,
    ) -> Composites:
        """Return these kinds of video, and the overlay, where one is wanted.

        Raises:
            UsageError: two files for the overlay.
        """
        if overlay and OVERLAY in (others or {}):
            raise UsageError("`overlay_file` and `composites=overlay=FILE` are one: leave one out")
        return cls({**({OVERLAY: overlay} if overlay else {}), **(others or {})}, background, sound)

    def of_video(self, name: str) -> Composites:
        """Return the files of one of many videos, where ``files`` holds a folder for each kind."""
        files = {
            kind: folder.absolute() / f"{name}{COMPOSITES[kind].encoding.suffixes[0]}"
            for kind, folder in self.files.items()
        }
        background = self.background.absolute() if self.background else None
        return replace(self, files=files, background=background)

    def check(self) -> None:
        """See, before the work, that these can be made.

        Raises:
            UsageError: an unknown kind, a file that ends otherwise than its kind, or a background
                without a use, or a use without a background.
            MissingError, VosError: the background is not there, or no picture.
        """
        for kind, path in self.files.items():
            _check_kind(kind)
            _check_name(kind, path)
        if (self.background is not None) != (BACKGROUND in self.files):
            raise UsageError("`composites=background=FILE` and `background=PICTURE` go together")
        if self.background is not None and not self.background.exists():
            raise MissingError(f"there is no {self.background}: `background` takes a picture")
        if self.background is not None:
            read_image(self.background)

    def inputs(self) -> list[Input]:
        """Return the background, where there is one."""
        return [Input("the background", self.background)] if self.background else []

    def outputs(self) -> list[Output]:
        """Return the videos, by what messages call them."""
        return [Output(_named(kind), path) for kind, path in self.files.items()]

    def made(self) -> dict[str, list[Any]]:
        """Return what decides each video but frames and masks, by its kind; to be recorded."""
        behind = hashlib.sha256(self.background.read_bytes()) if self.background else None
        return {
            kind: [
                str(path),
                self.sound,
                behind.hexdigest() if behind and kind == BACKGROUND else None,
            ]
            for kind, path in self.files.items()
        }

    def write(
        self, video: Video, masks: Iterator[np.ndarray], frames: int, folder: RunFolder
    ) -> None:
        """Write the videos, frame by frame, as files of the run in ``folder``."""
        if not self.files:
            return
        bar = progress(
            islice(zip(video, masks, strict=False), frames),
            total=frames,
            description=", ".join(self.files),
        )
        with folder.writing(*self.files.values()), ExitStack() as stack:
            drawn = [
                (self._draw(kind, video.size), stack.enter_context(self._writer(kind, video)))
                for kind in self.files
            ]
            for frame, mask in bar:
                for draw, writer in drawn:
                    writer.write(draw(frame, mask))

    def _writer(self, kind: str, video: Video) -> VideoWriter:
        encoding = COMPOSITES[kind].encoding
        return VideoWriter.like(self.files[kind], video, sound=self.sound, encoding=encoding)

    def _draw(self, kind: str, size: tuple[int, int]) -> Draw:
        if kind != BACKGROUND:
            return COMPOSITES[kind].draw
        assert self.background is not None
        picture = covering(read_image(self.background), size)
        return partial(COMPOSITES[kind].draw, picture=picture)


def _check_kind(kind: str) -> None:
    if kind not in COMPOSITES:
        raise UsageError(f"`composites` has no kind {kind!r}: {near_names(kind, COMPOSITES)}")


def _check_name(kind: str, path: Path) -> None:
    if kind == OVERLAY and path.suffix.lower() not in COMPOSITES[kind].encoding.suffixes:
        raise UsageError(f"{path}: `overlay_file` takes the name of a video, such as shown.mp4")
    check_suffix(path, COMPOSITES[kind].encoding)


def _named(kind: str) -> str:
    return "the overlay" if kind == OVERLAY else f"the composite {kind}"
