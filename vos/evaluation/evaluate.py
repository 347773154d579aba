"""The main job: segment a data set, score the masks, write tables and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.datasets import Dataset
from vos.evaluation.predict import Run, RunSettings, predict
from vos.evaluation.report import write_report
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results
from vos.evaluation.tables import write_tables
from vos.files import write_json
from vos.machine import device_name, peak_memory_mb
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
        VosError: a frame or mask cannot be read, or ``out`` cannot be written.
    """
    from vos.backbones import load
    from vos.backbones.inference import FeatureExtractor

    backbone = load(model, seed=seed)
    settings = RunSettings(
        dataset=dataset.name,
        split=dataset.split,
        model=model,
        weights=backbone_digest(backbone),
        preset=preset_name,
        config=config,
        device=device.type,
    )
    run = Run(out, settings)
    run.open(overwrite=overwrite)
    frames = sum(map(len, dataset.sequences))
    predict(dataset, FeatureExtractor(backbone, device, frame_count=frames), run)
    scores = score_results(out, dataset)
    write_tables(out, scores)
    record = _record(dataset, run, scores, device)
    write_json(out / "metrics.json", record)
    if report:
        write_report(out, dataset, scores, settings.to_json(), record["seconds"])
    return Evaluation(scores, record)


def backbone_digest(backbone: torch.nn.Module) -> str:
    """Twelve hexadecimal digits that change when any weight of ``backbone`` does."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


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
