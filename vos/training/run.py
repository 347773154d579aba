"""The folder of a run: config, state to resume from, weights, metrics.

``state.pt`` holds everything that decides how the run goes on; ``weights/`` is a checkpoint
folder that ``vos.load`` reads. Both are replaced atomically, so that a run killed at any moment
resumes from the last state. ``manifest.jsonl`` records what the run wrote.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from vos.errors import VosError
from vos.files import atomic_path, write_text
from vos.runs.folder import RECORD, RunFolder
from vos.runs.model import weights_inputs
from vos.runs.paths import Input, Output, check_paths
from vos.training.config import TrainConfig, config_text

# Keys that change how a run is made, not what comes out of it.
_FREE_KEYS = ("log_every", "checkpoint_every", "keep", "evaluation", "loggers", "compile")
_FREE_DATA_KEYS = ("workers", "cache", "cache_folder")


class Run:
    """A run folder, made or found again.

    Raises:
        UsageError: the folder holds a run with another config, files of something else, or what
            the run reads; or it lies in the data.
    """

    def __init__(self, folder: Path, config: TrainConfig, *, overwrite: bool = False) -> None:
        self.folder = folder
        self.record: RunFolder | None = None  # of the process that writes into the folder
        self.config_path = folder / "config.yaml"
        self.state_path = folder / "state.pt"
        self.metrics_path = folder / "metrics.jsonl"
        self.weights_path = folder / "weights"
        self.best_path = folder / "weights-best"
        data = [Input("the data", Path(path).expanduser()) for path in config.data.paths]
        check_paths(
            [*data, *weights_inputs(config.model.backbone)],
            [Output("the run", folder, folder=True), Output("the record", folder / RECORD)],
        )
        RunFolder.check_open(folder, _settings(config), overwrite=overwrite, reconcile=_reconcile)

    def start(self, config: TrainConfig, *, overwrite: bool = False) -> None:
        """Make the folder; with ``overwrite`` remove what an earlier run left in it."""
        record = self.record = RunFolder.open(
            self.folder, _settings(config), overwrite=overwrite, reconcile=_reconcile
        )
        if config.evaluation.every:  # a run of its own, of which starting anew is rid too
            masks = self.folder / "evaluation" / "masks"
            record.part(masks, masks / RECORD)
        record.claim_named(self.folder / "tensorboard", "events.out.tfevents.*")
        record.claim(self._files(config))
        record.write(write_text, self.config_path, config_text(config))

    def _files(self, config: TrainConfig) -> list[Path]:
        """List the files that the run writes, again and again, beside the record and the config."""
        checkpoints = [self.weights_path, self.best_path, self.folder / "evaluation" / "weights"]
        if config.keep:
            kept = range(config.keep, config.steps + 1, config.keep)
            checkpoints += [self.folder / f"weights-{step:06d}" for step in kept]
        names = ("model.safetensors", "config.json", "README.md")
        weights = [folder / name for folder in checkpoints for name in names]
        logs = [self.metrics_path, self.folder / "csv" / "metrics.csv"]
        return [self.state_path, *logs, *weights]

    def identity(self) -> str:
        """Return a short name for this folder that no other folder has."""
        return hashlib.sha256(str(self.folder.absolute()).encode()).hexdigest()[:12]

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the state to resume from."""
        with atomic_path(self.state_path) as temporary:
            torch.save(state, temporary)

    def load_state(self) -> dict[str, Any] | None:
        """Return the state to resume from, None at the start.

        Raises:
            VosError: the file is damaged.
        """
        if not self.state_path.is_file():
            return None
        try:
            return torch.load(self.state_path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise VosError(
                f"{self.state_path} cannot be read ({type(error).__name__}): "
                "start over with `overwrite=True`"
            ) from error

    def forget_after(self, step: int) -> None:
        """Drop metrics of steps that were made after the state that is resumed."""
        if self.metrics_path.is_file():
            rows = self.metrics()
            kept = [json.dumps(row) for row in rows if row["step"] <= step]
            write_text(self.metrics_path, "".join(f"{line}\n" for line in kept))

    def metrics(self) -> list[dict[str, float]]:
        """Return every complete row of ``metrics.jsonl``."""
        rows = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:  # the row being written when the process was killed
                continue
        return rows


def _reconcile(known: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return recorded settings as they count now.

    Keys that came later have their defaults; and a run may become longer, in steps or minutes: its
    schedule is stretched, nothing is lost.
    """
    known = _filled(known, _settings(TrainConfig()))
    if wanted["steps"] >= known["steps"]:
        known["steps"] = wanted["steps"]
    if wanted["minutes"] is None or wanted["minutes"] >= (known["minutes"] or math.inf):
        known["minutes"] = wanted["minutes"]
    return known


def _filled(values: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with the defaults of keys that came to vos after they were written."""
    filled = {**default, **values}
    for key, value in default.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            filled[key] = _filled(values[key], value)
    return filled


def _settings(config: TrainConfig) -> dict[str, Any]:
    """Return what decides what comes out of a run."""
    values = OmegaConf.to_container(OmegaConf.structured(config))
    assert isinstance(values, dict)
    for key in _FREE_KEYS:
        values.pop(key, None)
    for key in _FREE_DATA_KEYS:
        values["data"].pop(key, None)
    return {"command": "train", **{str(key): value for key, value in values.items()}}
