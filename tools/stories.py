"""What the programs that train networks to tell a story measure them on: options, and J&F."""

from __future__ import annotations

import argparse
from pathlib import Path

from vos.training.config import EvaluationConfig


def story_parser(description: str) -> argparse.ArgumentParser:
    """Options of clips to train on, sequences to measure on, settings, and results."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--root", help="DAVIS-2016 folder; without it J&F is on the sample")
    parser.add_argument("--sequences", nargs="*", help="sequences to measure J&F on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="key=value")
    return parser


def measured_on(arguments: argparse.Namespace, *, every: int = 0) -> EvaluationConfig:
    """J&F at 120 lines of the sequences that the options name, each ``every`` steps.

    Features are compared, so masks come from labels that they alone carry: without flow, without a
    classifier of the objects and not from the colours of the frame.
    """
    return EvaluationConfig(
        every=every,
        dataset="davis" if arguments.root else "sample",
        root=arguments.root,
        year=2016 if arguments.root else 2017,
        split="train" if arguments.root else None,
        sequences=arguments.sequences,
        settings={
            "short_side": "120",
            "small_object": "0",
            "motion": "none",
            "classifier": "0",
            "grid_to_mask": "bilinear",
        },
    )
