"""The main job: segment a data set, score the masks, write tables and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.datasets import Dataset
from vos.errors import VosError
from vos.evaluation.predict import OpenSegmenter, Run, RunSettings, Segmenter, predict
from vos.evaluation.report import write_report
from vos.evaluation.results import check_truth, scored_sequences
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results
from vos.evaluation.tables import write_tables
from vos.files import write_json
from vos.machine import device_name, peak_memory_mb
from vos.media.images import image_size
from vos.pipeline.remote import ModelChoice
from vos.propagation import PropagationConfig
from vos.scheduling import Executor, LocalExecutor, Outcome

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Evaluation:
    """Scores (None where there is no truth), and the record that `vos eval --json` prints."""

    scores: Scores | None
    record: dict[str, Any]


def evaluate(
    dataset: Dataset,
    out: Path,
    *,
    model: str,
    preset_name: str,
    config: PropagationConfig,
    device: torch.device,
    engine: Executor | None = None,
    precision: str = "float32",
    seed: int = 0,
    overwrite: bool = False,
    report: bool = True,
) -> Evaluation:
    """Segment ``dataset`` into ``out``, score it, and write metrics.json, tables and report.html.

    Sequences that an earlier run with the same settings finished are not done again. Where objects
    may begin late and nothing but their first masks is published, there are masks and no scores.

    Args:
        precision: of the network; see `FeatureExtractor`.
        engine: who segments the sequences; None does it here, one after another.

    Raises:
        UsageError: unknown model or precision, or ``out`` holds another run.
        MissingError: a frame has no true mask to score by; nothing is segmented then.
        VosError: ``out`` cannot be written, or a frame or mask cannot be read: what can be told
            without decoding all of them is told before anything is segmented.
    """
    from vos.backbones import load
    from vos.backbones.inference import FeatureExtractor

    check_dataset(dataset)
    backbone = load(model, seed=seed)
    frames = sum(map(len, dataset.sequences))
    choice = ModelChoice.of(model, backbone, seed=seed, precision=precision, frame_count=frames)
    settings = RunSettings(
        dataset=dataset.name,
        split=dataset.split,
        model=model,
        weights=choice.digest,
        preset=preset_name,
        config=config,
        device=device.type,
        precision=precision,
    )
    run = Run(out, settings, dataset)
    run.open(dataset, overwrite=overwrite)
    engine = engine or LocalExecutor(str(device))

    def segmenter_here(_: str) -> Segmenter:
        extractor = FeatureExtractor(backbone, device, precision=precision, frame_count=frames)
        return Segmenter(run.masks, config, extractor)

    elsewhere = OpenSegmenter(out.absolute(), run.masks.absolute(), config, choice)
    outcome = predict(dataset, elsewhere if engine.is_remote else segmenter_here, run, engine)
    scores = score_results(out, dataset) if scored_sequences(dataset) else None
    if scores is not None:
        write_tables(out, scores)
    record = _record(dataset, run, scores, device, outcome)
    write_json(out / "metrics.json", record)
    if report and scores is not None:
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


def _record(
    dataset: Dataset, run: Run, scores: Scores | None, device: torch.device, outcome: Outcome
) -> dict[str, Any]:
    """Figures of a finished run; timings are those of the workers, added up, and include sequences
    that earlier calls finished."""
    timings = [run.seconds[sequence.name] for sequence in dataset.sequences]
    stages = {
        stage: round(sum(timing.get(stage, 0.0) for timing in timings), 3)
        for stage in ("features", "propagation")
    }
    segmenting = sum(timing["total"] for timing in timings)
    scoring = scores.seconds if scores else 0.0
    frames = sum(map(len, dataset.sequences))
    return {
        **(scores.as_dict() if scores else {}),
        "frames": frames,
        "seconds": {
            **stages,
            "scoring": round(scoring, 3),
            "total": round(segmenting + scoring, 3),
        },
        "fps": round(frames / segmenting, 3),
        "peak_memory_mb": round(max(peak_memory_mb(), outcome.peak_memory_mb), 1),
        "lost_workers": outcome.lost_workers,
        "masks": str(run.masks),
        "dataset": dataset.name,
        "split": dataset.split,
        "model": run.settings.model,
        "preset": run.settings.preset,
        "device": device_name(device),
    }
