"""The main job: segment a data set, score the masks, write tables and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.datasets import Dataset
from vos.errors import VosError
from vos.evaluation.predict import Run, RunSettings, predict
from vos.evaluation.report import write_report
from vos.evaluation.results import check_truth
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results
from vos.evaluation.tables import write_tables
from vos.files import write_json
from vos.machine import device_name, peak_memory_mb
from vos.media.images import image_size
from vos.propagation import PropagationConfig

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the record that `vos eval --json` prints."""

    scores: Scores
    record: dict[str, Any]


def evaluate(
    dataset: Dataset,
    out: Path,
    *,
    model: str,
    preset_name: str,
    config: PropagationConfig,
    device: torch.device,
    seed: int = 0,
    overwrite: bool = False,
    report: bool = True,
) -> Evaluation:
    """Segment ``dataset`` into ``out``, score it, and write metrics.json, tables and report.html.

    Sequences that an earlier run with the same settings finished are not done again.

    Raises:
        UsageError: unknown model, or ``out`` holds another run.
        MissingError: a frame has no true mask to score by; nothing is segmented then.
        VosError: ``out`` cannot be written, or a frame or mask cannot be read: what can be told
            without decoding all of them is told before anything is segmented.
    """
    from vos.backbones import load, weights_digest
    from vos.backbones.inference import FeatureExtractor

    check_dataset(dataset)
    backbone = load(model, seed=seed)
    settings = RunSettings(
        dataset=dataset.name,
        split=dataset.split,
        model=model,
        weights=weights_digest(backbone),
        preset=preset_name,
        config=config,
        device=device.type,
    )
    run = Run(out, settings)
    run.open(dataset, overwrite=overwrite)
    frames = sum(map(len, dataset.sequences))
    predict(dataset, FeatureExtractor(backbone, device, frame_count=frames), run)
    scores = score_results(out, dataset)
    write_tables(out, scores)
    record = _record(dataset, run, scores, device)
    write_json(out / "metrics.json", record)
    if report:
        write_report(out, dataset, scores, settings.to_json(), record["seconds"])
    return Evaluation(scores, record)


def check_dataset(dataset: Dataset) -> None:
    """See, before hours of work, that ``dataset`` can be segmented and scored.

    Raises:
        MissingError: a frame has no true mask.
        VosError: frames of several sizes, a first mask that cannot be used, too few frames.
    """
    check_truth(dataset)
    for sequence in dataset:
        for path in sequence.frame_paths:
            height, width = image_size(path)
            if (height, width) != sequence.size:
                raise VosError(
                    f"{path} is {width} x {height} but the first frame of {sequence.name} is "
                    f"{sequence.size[1]} x {sequence.size[0]}: frames of a sequence must have one "
                    "size"
                )
        if not sequence.object_ids:
            raise VosError(
                f"{sequence.mask_paths[0]} is all background: the first mask of a sequence says "
                "what to follow"
            )


def _record(dataset: Dataset, run: Run, scores: Scores, device: torch.device) -> dict[str, Any]:
    """Figures of a finished run; timings include sequences that earlier calls finished."""
    timings = [run.seconds[sequence.name] for sequence in dataset.sequences]
    stages = {
        stage: round(sum(timing.get(stage, 0.0) for timing in timings), 3)
        for stage in ("features", "propagation")
    }
    segmenting = sum(timing["total"] for timing in timings)
    frames = sum(map(len, dataset.sequences))
    return {
        **scores.as_dict(),
        "frames": frames,
        "seconds": {
            **stages,
            "scoring": round(scores.seconds, 3),
            "total": round(segmenting + scores.seconds, 3),
        },
        "fps": round(frames / segmenting, 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "dataset": dataset.name,
        "split": dataset.split,
        "model": run.settings.model,
        "preset": run.settings.preset,
        "device": device_name(device),
    }
