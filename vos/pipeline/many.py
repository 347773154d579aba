"""`vos propagate` over many videos: each into a folder of its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vos.backbones import load
from vos.errors import MissingError, UsageError
from vos.files import remove
from vos.machine import peak_memory_mb
from vos.media import Video, open_video
from vos.media.listing import is_hidden
from vos.media.video_folder import FrameFolder
from vos.pipeline.collection import named, run_collection
from vos.pipeline.jobs import LoadedModel, carry_to_files
from vos.pipeline.remote import ModelChoice, check_shared
from vos.pipeline.run_file import RUN_FILE
from vos.propagation import PropagationConfig
from vos.scheduling import Advance, Executor, Manifest
from vos.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vos.backbones.inference import FeatureExtractor

MANIFEST = "manifest.jsonl"


class VideoJob(NamedTuple):
    """One video: where it is, where its masks are, where the results go."""

    video: Path
    masks: Path
    out: Path
    overlay: Path | None
    rle: Path | None
    sound: bool = True


class Carrier:
    """A worker: carries the masks of a video through it."""

    def __init__(
        self, model: ModelChoice, config: PropagationConfig, extractor: FeatureExtractor
    ) -> None:
        self.loaded = LoadedModel(model.spec, model.digest, model.precision, lambda _: extractor)
        self.config = config

    def __call__(self, job: VideoJob, advance: Advance) -> dict[str, Any]:
        """Frames, ids and seconds by stage."""
        masks = find_masks(job.masks, open_video(job.video))
        record = carry_to_files(
            job.video,
            masks,
            job.out,
            loaded=self.loaded,
            config=self.config,
            overlay_file=job.overlay,
            sound=job.sound,
            rle_file=job.rle,
        )
        return {key: record[key] for key in ("frames", "ids", "seconds")}


@dataclass(frozen=True)
class OpenCarrier:
    """Makes a `Carrier` where it is to work."""

    manifest: Path
    model: ModelChoice
    config: PropagationConfig

    def __call__(self, device: str) -> Carrier:
        check_shared(self.manifest)
        return Carrier(self.model, self.config, self.model.extractor(device))


def propagate_many(
    videos: Sequence[Path],
    masks: Path,
    out: Path,
    *,
    overlays: Path | None = None,
    sound: bool = True,
    rles: Path | None = None,
    model: str,
    config: PropagationConfig,
    engine: Executor,
    precision: str = "float32",
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the masks of every frame of every video to ``out/<video>/<00000>.png``.

    Videos that a former run with the same settings finished are not done again; those that failed
    are tried again. How each ended is in ``out/manifest.jsonl``.

    Args:
        masks: a folder with ``<video>.png`` (of the first frame) or ``<video>/<frame>.png``.
        overlays, rles: folders for an overlay video and for run lengths of each video.
        sound: copy the sound of a video into its overlay.

    Returns:
        videos, begun, frames, seconds, fps, lost_workers, peak_memory_mb, model, out, manifest.

    Raises:
        UsageError: two videos of one name, an unknown model, or ``out`` holds another job.
        VosError: some videos failed; all others are done.
    """
    if not masks.is_dir():
        raise MissingError(
            f"there is no folder {masks}: --masks holds VIDEO.png or VIDEO/FRAME.png"
        )
    jobs = named(videos)
    choice = ModelChoice.of(model, load(model, seed=seed), seed=seed, precision=precision)
    settings = {
        "command": "propagate",
        "masks": str(masks.absolute()),
        "model": model,
        "weights": choice.digest,
        "precision": precision,
        "config": dataclasses.asdict(config),
        "version": __version__,
    }
    out = out.absolute()
    if out.is_file():
        raise UsageError(f"{out} is a file: --out takes a folder")
    manifest = Manifest.open(out / MANIFEST, settings, overwrite=overwrite)
    if overwrite:  # what says that they are finished; workers, begun again or not, do the rest
        remove(out / name / RUN_FILE for name in jobs)

    def job(name: str, video: Path) -> VideoJob:
        overlay = overlays.absolute() / f"{name}.mp4" if overlays else None
        rle = rles.absolute() / f"{name}.json" if rles else None
        return VideoJob(video, masks.absolute(), out / name, overlay, rle, sound)

    done = run_collection(
        jobs,
        job,
        OpenCarrier(manifest.path, choice, config),
        engine,
        manifest,
        result=lambda name: out / name / RUN_FILE,
        description="segmenting",
    )
    frames = sum(entry["frames"] for entry in done.entries.values())
    computed = sum(entry["frames"] for entry in done.outcome.results.values())
    return {
        "videos": len(jobs),
        "begun": done.begun,
        "frames": frames,
        "seconds": round(done.seconds, 3),
        "fps": round(computed / done.seconds, 3),
        "lost_workers": done.outcome.lost_workers,
        "peak_memory_mb": round(max(peak_memory_mb(), done.outcome.peak_memory_mb), 1),
        "model": model,
        "out": str(out),
        "manifest": str(manifest.path),
    }


def find_masks(folder: Path, video: Video) -> dict[int, Path]:
    """The masks of a video, by frame.

    ``<video>.png`` is that of frame 0. In ``<video>/`` a mask has the name of its frame where the
    video is a folder of frames, or its number.

    Raises:
        MissingError: there is none.
        UsageError: one that belongs to no frame.
    """
    single = folder / f"{video.name}.png"
    if single.is_file():
        return {0: single}
    paths = [path for path in sorted((folder / video.name).glob("*.png")) if not is_hidden(path)]
    if not paths:
        raise MissingError(f"there is no mask {single}, and none in {folder / video.name}")
    names = (
        {path.stem: index for index, path in enumerate(video.frame_paths)}
        if isinstance(video, FrameFolder)
        else {}
    )
    found = {}
    for path in paths:
        if path.stem not in names and not path.stem.isdecimal():
            raise UsageError(f"{path} has neither the name nor the number of a frame")
        found[names.get(path.stem, int(path.stem) if path.stem.isdecimal() else 0)] = path
    return found
