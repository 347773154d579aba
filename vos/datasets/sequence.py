"""What a data set is: named sequences of frames with their masks, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vos.errors import MissingError, VosError
from vos.media.images import image_size, read_image, tones_of
from vos.media.masks import object_ids, read_palette_mask
from vos.media.painted_masks import read_mask
from vos.media.tones import Tones
from vos.media.video_base import FOLDER_FRAME_RATE, Video
from vos.media.video_folder import FrameFolder


@dataclass(frozen=True)
class Sequence:
    """A video with masks: the frames, and for each frame the file its mask is (or would be) in.

    Attributes:
        name: unique in its data set; the name of the results folder.
        frame_paths: one image per frame, in order.
        mask_paths: one path per frame, in step with ``frame_paths``. Some data sets publish the
            masks of some frames only; ``annotated`` says which are there.
        binary: the masks say object or not (DAVIS-2016): every non-zero value is object 1.
        begins: pairs of object id and index of the frame that shows it first, where objects may
            appear late and truth is there for some frames only (YouTube-VOS). Empty where all
            objects are those of frame 0 (DAVIS).
    """

    name: str
    frame_paths: tuple[Path, ...]
    mask_paths: tuple[Path, ...]
    binary: bool = False
    begins: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.frame_paths)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of frame 0, which every other frame and mask must have."""
        return image_size(self.frame_paths[0])

    @cached_property
    def _tones(self) -> Tones:
        """How frames of more than 8 bits are scaled: all alike."""
        return tones_of(self.frame_paths)

    @cached_property
    def annotated(self) -> tuple[int, ...]:
        """Indices of the frames whose mask file exists."""
        return tuple(i for i, path in enumerate(self.mask_paths) if path.is_file())

    @cached_property
    def object_ids(self) -> list[int]:
        """Ids of the objects to follow, sorted: those of frame 0, or all that ever begin."""
        if self.begins:
            return sorted(object_id for object_id, _ in self.begins)
        return object_ids(self.mask(0))

    @property
    def is_scored(self) -> bool:
        """Whether there is truth beyond the first masks of the objects."""
        return not self.begins or not set(self.annotated) <= {index for _, index in self.begins}

    def first_masks(self) -> dict[int, np.ndarray]:
        """Return what is given: by frame, the (H, W) uint8 mask of the objects that begin there.

        Raises:
            MissingError: there is no mask where an object begins.
            VosError: a mask is broken, or does not show an object that should begin in it.
        """
        if not self.begins:
            return {0: self.mask(0)}
        given = {}
        for index in sorted({index for _, index in self.begins}):
            mask = self.mask(index)
            ids = [object_id for object_id, first in self.begins if first == index]
            for object_id in ids:
                if not (mask == object_id).any():
                    raise VosError(
                        f"{self.mask_paths[index]} does not show object {object_id}, which is "
                        "said to begin there"
                    )
            given[index] = np.where(np.isin(mask, ids), mask, 0).astype(np.uint8)
        return given

    @cached_property
    def video(self) -> Video:
        """The frames as a video, read as a stream; every frame's size is looked at.

        Raises:
            VosError: a frame cannot be read, or the frames have several sizes.
        """
        video = FrameFolder(self.frame_paths[0].parent, list(self.frame_paths), FOLDER_FRAME_RATE)
        video.name = self.name
        return video

    def frame(self, index: int) -> np.ndarray:
        """Frame ``index`` as (H, W, 3) uint8 RGB.

        Raises:
            VosError: the file is missing, broken, or of another size than frame 0.
        """
        path = self.frame_paths[index]
        image = read_image(path, tones=self._tones)
        height, width = image.shape[:2]
        if (height, width) != self.size:
            raise VosError(
                f"{path} is {width} x {height} but the first frame of {self.name} is "
                f"{self.size[1]} x {self.size[0]}: frames of a sequence must have one size"
            )
        return image

    def frames(self) -> Iterator[np.ndarray]:
        """Return every frame in order, read when it is asked for."""
        return (self.frame(index) for index in range(len(self)))

    def mask(self, index: int) -> np.ndarray:
        """Mask of frame ``index`` as (H, W) uint8 ids: 0 background, 255 void.

        Raises:
            MissingError: this frame has no mask.
            VosError: the file is broken, not a mask, or of another size than the frames.
        """
        path = self.mask_paths[index]
        if not path.is_file():
            raise MissingError(
                f"{self.name} has no mask for frame {self.frame_paths[index].stem}: "
                f"{path} is missing (`vos data check` lists all that is)"
            )
        if self.binary:
            return (read_mask(path, size=self.size) != 0).astype(np.uint8)
        return read_palette_mask(path, size=self.size)


@dataclass(frozen=True)
class Dataset:
    """The sequences of one split of one data set, in the order of its list file.

    Attributes:
        masks_folder: folder within a results folder that holds the masks, where the official
            scorer wants one.
    """

    name: str
    root: Path
    split: str
    sequences: tuple[Sequence, ...]
    masks_folder: str = ""

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self.sequences)
