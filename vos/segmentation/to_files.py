"""A video and the masks of some frames in; the masks of all frames, composites and RLE out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vos.backbones.inference import FeatureExtractor
from vos.errors import UsageError
from vos.files import read_json, write_json
from vos.media import (
    RleWriter,
    Video,
    object_ids,
    read_palette_mask,
    write_mask,
)
from vos.media.background import BackgroundWriter
from vos.progress import Stopwatch, progress
from vos.propagation import PropagationConfig
from vos.propagation.frame_size import suited
from vos.runs.folder import RunFolder
from vos.runs.model import Model, check_shared
from vos.runs.paths import Output
from vos.runs.source import fingerprint, stamp
from vos.scheduling import Advance
from vos.segmentation.composites import Composites
from vos.segmentation.marks import check_marks
from vos.segmentation.propagate import propagate
from vos.segmentation.segment import Observer, SegmentedFrame, segment
from vos.version import __version__

CONFIDENCE = "confidence.json"
MASKS = "masks"  # the item of the record that is done when the masks of all frames are there


class Walk(Protocol):
    """How masks go through a video; see `everywhere` and `from_first_mask`."""

    def __call__(
        self,
        video: Video,
        masks: Mapping[int, np.ndarray],
        extractor: FeatureExtractor,
        config: PropagationConfig,
        stopwatch: Stopwatch,
        observe: Observer | None,
    ) -> Iterator[SegmentedFrame]: ...


def everywhere(
    video: Video,
    masks: Mapping[int, np.ndarray],
    extractor: FeatureExtractor,
    config: PropagationConfig,
    stopwatch: Stopwatch,
    observe: Observer | None,
) -> Iterator[SegmentedFrame]:
    """Walk from the given masks forwards and backwards, as `vos.propagate` does."""
    return propagate(
        video, masks, model=extractor, preset=config, stopwatch=stopwatch, observe=observe
    )


def from_first_mask(
    video: Video,
    masks: Mapping[int, np.ndarray],
    extractor: FeatureExtractor,
    config: PropagationConfig,
    stopwatch: Stopwatch,
    observe: Observer | None,
) -> Iterator[SegmentedFrame]:
    """Walk forwards alone, as benchmarks do: nothing is known before the first object begins."""
    first = min(masks)
    for index in range(first):
        yield SegmentedFrame(index, (), np.zeros(video.size, np.uint8))
    frames = enumerate(video.read(first), start=first)
    config = suited(config, (masks[index] for index in sorted(masks)), extractor.stride)
    yield from segment(frames, masks, extractor, config, stopwatch=stopwatch, observe=observe)


@dataclass(frozen=True)
class VideoJob:
    """One video, and where its results go.

    Attributes:
        open: opens the video and reads its masks, by frame index; can be pickled.
        out: folder of the masks; each bears the name of its frame.
        record: of the folder; None keeps it inside.
        composites: videos to be made of frames and masks.
        rle: the file of run lengths; None makes none.
        names: of objects by id, for the RLE.
        confidence: ask how sure each mask is, write it to ``<out>/confidence.json`` and into the
            RLE.
        overwrite: start anew.
        reads: lists the files that are read, so that one that was replaced is noticed; can be
            pickled. None of them where nobody asks later.
    """

    open: Callable[[], tuple[Video, dict[int, np.ndarray]]]
    out: Path
    record: Path | None = None
    composites: Composites = field(default_factory=Composites)
    rle: Path | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    confidence: bool = False
    overwrite: bool = False
    reads: Callable[[], Iterable[Path]] = tuple

    def stamp(self) -> str:
        """Return a digest that changes when a file that is read is replaced."""
        return stamp(self.reads())

    def check(self) -> None:
        """Check, before the work, that composites and RLE can be written.

        Raises:
            UsageError: a composite that cannot be, or an RLE with the name of a mask.
            MissingError, VosError: the background of a composite is not there, or no picture.
        """
        self.composites.check()
        if self.rle is not None and self.rle.suffix.lower() == ".png":
            raise UsageError(
                f"{self.rle}: `rle_file` takes the name of a JSON file, such as masks.json"
            )

    def files(self) -> list[Path]:
        """Return the files beside the masks."""
        return [*self.composites.files.values(), *([self.rle] if self.rle else [])]

    def outputs(self) -> list[Output]:
        """Return the same files, by what messages call them."""
        return [
            *self.composites.outputs(),
            *([Output("the run lengths", self.rle)] if self.rle else []),
        ]


def segment_to_files(
    job: VideoJob,
    model: Model,
    config: PropagationConfig,
    extractor: Callable[[int | None], FeatureExtractor],
    *,
    walk: Walk = everywhere,
    advance: Advance = lambda _: None,
) -> dict[str, Any]:
    """Write the mask of every frame to ``<out>/<frame>.png``, then the composites and the RLE.

    Masks of a finished run with the same settings are used again, so that an overlay can be had
    later at little cost.

    Args:
        extractor: gives the extractor for so many frames (None: nobody knows); it is asked for one
            only where there is something to do.
        advance: is told of each frame that is done.

    Returns:
        frames, computed (frames of this call), ids, precision of the network, seconds by stage,
        stamp of the job, what decided each composite, and confidence, if it was asked for: by id,
        the lowest one and its frame.

    Raises:
        UsageError: a mask that does not fit the video, an output that cannot be, or a folder that
            holds something else.
        MissingError: the video or a mask is not there.
        VosError: the video breaks; the masks of the frames before stay.
    """
    job.check()
    read = job.stamp()
    video, masks = job.open()
    masks = check_marks(masks, video)
    folder = RunFolder.open(
        job.out,
        {"command": "segment", **_source(video, masks), **run_settings(model, config)},
        record=job.record,
        overwrite=job.overwrite,
        restart=True,
        outputs=[*mask_paths(video, job.out), *job.files()],
    )
    files = MaskFiles(video, folder)
    # Before hours of work: what may not be replaced.
    folder.check(job.files())
    done = files.finished()
    stopwatch = Stopwatch()
    with stopwatch("total"):
        if done is None:
            files.check_free()
            confidence: dict[int, Mapping[int, float]] = {}
            observe = confidence.__setitem__ if job.confidence else None
            network = extractor(video.frame_count)
            stream = walk(video, masks, network, config, stopwatch, observe)
            frames = files.write(stream, advance)
            if job.confidence:
                files.write_confidence(confidence)
            ids = sorted({each for mask in masks.values() for each in object_ids(mask)})
            done = {"frames": frames, "ids": ids, "precision": network.precision}
            folder.note(MASKS, "done", **done)
            computed = frames
        else:
            computed = 0
        job.composites.write(video, files.read(done["frames"]), done["frames"], folder)
        if job.rle is not None:
            with folder.writing(job.rle):
                _write_rle(video, files, done["frames"], job.rle, job.names)
    lowest = files.lowest_confidence() if job.confidence else {}
    return {
        "frames": done["frames"],
        "computed": computed,
        "ids": done["ids"],
        "precision": done["precision"],
        "seconds": dict(stopwatch.seconds),
        "stamp": read,
        **({"composites": job.composites.made()} if job.composites.files else {}),
        **({"confidence": lowest} if lowest else {}),
    }


class Segmenter:
    """A worker: segments one video after another with one model.

    Each mask is written whole, and the same bytes each time: a video may be begun, lost and begun
    again.
    """

    def __init__(
        self, model: Model, config: PropagationConfig, extractor: FeatureExtractor, walk: Walk
    ) -> None:
        self.model = model
        self.config = config
        self.extractor = extractor
        self.walk = walk

    def __call__(self, job: VideoJob, advance: Advance) -> dict[str, Any]:
        """Do a job; see `segment_to_files`."""
        return segment_to_files(
            job,
            self.model,
            self.config,
            lambda _: self.extractor,
            walk=self.walk,
            advance=advance,
        )


@dataclass(frozen=True)
class OpenSegmenter:
    """Makes a `Segmenter` where it is to work.

    Attributes:
        record: of the whole job, by an absolute path.
        frame_count: see `Model.extractor`.
    """

    record: Path
    model: Model
    config: PropagationConfig
    walk: Walk = everywhere
    frame_count: int | None = None

    def __call__(self, device: str) -> Segmenter:
        check_shared(self.record)
        extractor = self.model.extractor(device, self.frame_count)
        return Segmenter(self.model, self.config, extractor, self.walk)


def mask_path(video: Video, index: int, folder: Path) -> Path:
    """Return the file in ``folder`` of the mask of a frame, whose name it bears."""
    return folder / f"{video.frame_name(index)}.png"


def mask_paths(video: Video, folder: Path) -> list[Path]:
    """Return the files of the masks of all frames that are known before the video is read."""
    return [mask_path(video, index, folder) for index in range(video.frame_count or 0)]


class MaskFiles:
    """The masks of a video in a folder, one PNG per frame, with the names of the frames."""

    def __init__(self, video: Video, folder: RunFolder) -> None:
        self.video = video
        self.folder = folder

    def path(self, index: int) -> Path:
        """Return the file of the mask of a frame."""
        return mask_path(self.video, index, self.folder.place)

    def finished(self) -> dict[str, Any] | None:
        """Return what was noted of the finished masks; None where one is not there."""
        known = self.folder.items.get(MASKS)
        if known is None or not {"frames", "ids", "precision"} <= known.keys():
            return None
        if not all(self.path(index).is_file() for index in range(known["frames"])):
            return None
        return known

    def check_free(self) -> None:
        """See, before hours of work, that the masks may be written."""
        self.folder.check_all()
        self.folder.check(mask_paths(self.video, self.folder.place))

    def write(self, stream: Iterator[SegmentedFrame], advance: Advance) -> int:
        """Write masks as they are computed; return the number of frames."""
        last = -1
        with BackgroundWriter() as writer:
            for frame in stream:
                path = self.path(frame.index)
                writer.submit(self.folder.write, write_mask, path, frame.mask)
                last = max(last, frame.index)
                advance(1)
        return last + 1

    def write_confidence(self, confidence: Mapping[int, Mapping[int, float]]) -> None:
        """Write the confidence in each object by the name of the frame."""
        by_name = {
            self.video.frame_name(index): {str(id): round(value, 4) for id, value in found.items()}
            for index, found in sorted(confidence.items())
        }
        self.folder.write(write_json, self.folder.place / CONFIDENCE, by_name)

    def confidence(self) -> dict[str, dict[str, float]]:
        """Return what `write_confidence` wrote; nothing where it did not."""
        path = self.folder.place / CONFIDENCE
        return read_json(path) if path.is_file() else {}

    def lowest_confidence(self) -> dict[str, dict[str, Any]]:
        """Return, by object id, the lowest confidence and the name of its frame."""
        lowest: dict[str, dict[str, Any]] = {}
        for frame, found in self.confidence().items():
            for id, value in found.items():
                if id not in lowest or value < lowest[id]["lowest"]:
                    lowest[id] = {"lowest": value, "frame": frame}
        return lowest

    def read(self, frames: int) -> Iterator[np.ndarray]:
        """Yield the masks of so many frames."""
        return (read_palette_mask(self.path(index)) for index in range(frames))


def run_settings(model: Model, config: PropagationConfig) -> dict[str, Any]:
    """Return what decides masks beside the video and the masks that are given."""
    return {
        **model.settings(),
        "config": dataclasses.asdict(config),
        "version": __version__,
    }


def _source(video: Video, masks: Mapping[int, np.ndarray]) -> dict[str, Any]:
    """Return what decides the masks; the same names may stand for other files later."""
    digests = {str(i): hashlib.sha256(mask.tobytes()).hexdigest()[:12] for i, mask in masks.items()}
    return {
        "video": str(video.path.resolve()),
        "video content": fingerprint(video),
        "mask": dict(sorted(digests.items())),
    }


def _write_rle(
    video: Video, files: MaskFiles, frames: int, path: Path, names: Mapping[int, str]
) -> None:
    confidence = files.confidence()
    with RleWriter(
        path,
        name=video.name,
        size=video.size,
        frame_count=frames,
        file_name=video.file_name,
        object_names=names,
    ) as writer:
        for index, mask in enumerate(progress(files.read(frames), total=frames)):
            found = confidence.get(video.frame_name(index), {})
            writer.write(index, mask, scores={int(id): value for id, value in found.items()})
