"""Limits per session, and the errors for exceeding them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vos.errors import VosError
from vos.media import Video
from vos.media.images import image_size


@dataclass(frozen=True)
class Limits:
    """Bounds of a session.

    Attributes:
        megabytes: size of an upload.
        frames: length of a video.
        megapixels: of one frame.
        picture_megapixels: of a picture to be put behind the objects.
        sessions: open at once.
        gigabytes: of the files of all sessions together.
        idle_seconds: without a sign of life, after which a session and its files are removed.
        closed_seconds: the same once its page was closed; long enough for a reload.
    """

    megabytes: int = 2000
    frames: int = 20_000
    megapixels: float = 9.0
    picture_megapixels: float = 60.0
    sessions: int = 32
    gigabytes: float = 100.0
    idle_seconds: float = 2 * 3600
    closed_seconds: float = 300

    @property
    def project_megabytes(self) -> int:
        """Size of a project, which holds masks beside the video."""
        return 3 * self.megabytes

    def check_file(self, path: Path) -> None:
        """Raises VosError where an upload is too large."""
        size = path.stat().st_size / 1e6
        if size > self.megabytes:
            raise VosError(
                f"The file has {size:.0f} MB, the limit is {self.megabytes} MB: "
                "cut it shorter or lower its resolution"
            )

    def check_picture(self, path: Path) -> None:
        """Raises VosError where a picture is too large, or none."""
        self.check_file(path)
        height, width = image_size(path)
        if (pixels := height * width / 1e6) > self.picture_megapixels:
            raise VosError(
                f"The picture has {pixels:.0f} megapixels, the limit is "
                f"{self.picture_megapixels:g}: lower its resolution"
            )

    def check_video(self, video: Video) -> None:
        """Raises VosError where frames are too large or too many; reads through a file once."""
        pixels = video.height * video.width / 1e6
        if pixels > self.megapixels:
            raise VosError(
                f"Frames of {video.width} x {video.height} pixels are more than "
                f"{self.megapixels:g} megapixels: lower the resolution"
            )
        if (count := video.count_frames()) > self.frames:
            raise VosError(
                f"The video has {count} frames, the limit is {self.frames} "
                f"({self.frames / video.fps / 60:.1f} minutes at {video.fps:.4g} per second): "
                "cut it shorter, or into parts"
            )
