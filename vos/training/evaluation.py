"""Measuring the weights while they are trained: J&F on a few sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from vos.backbones import Backbone, save_checkpoint
from vos.datasets import open_dataset
from vos.propagation import preset
from vos.training.config import EvaluationConfig


def make_evaluation(
    config: EvaluationConfig, folder: Path, device: torch.device
) -> Callable[[Backbone], dict[str, float]]:
    """Return a function from a backbone to ``{"J&F", "J", "F"}`` (0 to 1), as ``config`` says.

    Args:
        folder: the masks, tables and weights of the latest measure are left here.
        device: where to compute.

    Raises:
        UsageError: unknown data set, sequence, preset or setting.
        MissingError: the data set is not there.
    """
    dataset = open_dataset(
        config.dataset,
        root=Path(config.root) if config.root else None,
        year=config.year,
        split=config.split,
        sequences=config.sequences,
    )
    preset(config.preset).with_settings(config.settings)  # told now, not after hours of steps

    def evaluate_backbone(backbone: Backbone) -> dict[str, float]:
        from vos.evaluation.evaluate import evaluate

        weights = save_checkpoint(folder / "weights", backbone)
        record = evaluate(
            dataset,
            folder / "masks",
            model=str(weights),
            preset=config.preset,
            settings=config.settings,
            device=device,
            overwrite=True,
            report=False,
        ).record
        return {"J&F": record["J&F"], "J": record["J"]["mean"], "F": record["F"]["mean"]}

    return evaluate_backbone
