"""The folder of a run: config, state to resume from, weights, metrics.

``state.pt`` holds everything that decides how the run goes on; ``weights/`` is a checkpoint
folder that ``vos.load`` reads. Both are replaced atomically, so that a run killed at any moment
resumes from the last state.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from vos.errors import UsageError, VosError
from vos.files import atomic_path, write_text
from vos.training.config import TrainConfig, config_text

# Keys that change how a run is made, not what comes out of it.
_FREE_KEYS = ("log_every", "checkpoint_every", "keep", "evaluation", "loggers", "compile")
_FREE_DATA_KEYS = ("workers", "cache", "cache_folder")


class Run:
    """A run folder, made or found again.

    Raises:
        UsageError: the folder holds a run with another config, or files of something else.
    """

    def __init__(self, folder: Path, config: TrainConfig, *, overwrite: bool = False) -> None:
        self.folder = folder
        self.config_path = folder / "config.yaml"
        self.state_path = folder / "state.pt"
        self.metrics_path = folder / "metrics.jsonl"
        self.weights_path = folder / "weights"
        self.best_path = folder / "weights-best"
        self._check(config, overwrite)

    def _check(self, config: TrainConfig, overwrite: bool) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file: --out needs a folder")
        if not self.config_path.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise UsageError(f"{self.folder} holds files but no run: choose another --out")
            return
        if overwrite:
            return
        changed = _changed_keys(self.config_path, config)
        if changed:
            raise UsageError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)}): "
                "choose another --out, or start over with --overwrite"
            )

    def start(self, config: TrainConfig, *, overwrite: bool = False) -> None:
        """Make the folder; with ``overwrite`` remove what an earlier run left in it."""
        if overwrite and self.config_path.is_file():
            for path in (self.state_path, self.metrics_path):
                path.unlink(missing_ok=True)
            logs = (self.folder / "tensorboard", self.folder / "csv")
            for folder in (*self.folder.glob("weights*"), *logs):
                shutil.rmtree(folder, ignore_errors=True)
        write_text(self.config_path, config_text(config))

    def identity(self) -> str:
        """Return a short name for this folder that no other folder has."""
        return hashlib.sha256(str(self.folder.absolute()).encode()).hexdigest()[:12]

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the state to resume from."""
        with atomic_path(self.state_path) as temporary:
            torch.save(state, temporary)

    def load_state(self) -> dict[str, Any] | None:
        """The state to resume from, None at the start.

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
                "start over with --overwrite"
            ) from error

    def forget_after(self, step: int) -> None:
        """Drop metrics of steps that were made after the state that is resumed."""
        if self.metrics_path.is_file():
            rows = self.metrics()
            kept = [json.dumps(row) for row in rows if row["step"] <= step]
            write_text(self.metrics_path, "".join(f"{line}\n" for line in kept))

    def metrics(self) -> list[dict[str, float]]:
        """Every complete row of ``metrics.jsonl``."""
        rows = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:  # the row being written when the process was killed
                continue
        return rows


def _changed_keys(path: Path, config: TrainConfig) -> list[str]:
    try:
        before = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:
        raise VosError(f"{path} cannot be read: start over with --overwrite") from error
    after = OmegaConf.to_container(OmegaConf.structured(config))
    default = OmegaConf.to_container(OmegaConf.structured(TrainConfig))
    assert isinstance(before, dict) and isinstance(after, dict) and isinstance(default, dict)
    before = _filled(before, default)
    _lengthen(before, after)
    for values in (before, after):
        for key in _FREE_KEYS:
            values.pop(key, None)
        for key in _FREE_DATA_KEYS:
            values.get("data", {}).pop(key, None)
    return _differences(before, after)


def _lengthen(before: dict, after: dict) -> None:
    """Let a run become longer, in steps or minutes: its schedule is stretched, nothing is lost."""
    if after["steps"] >= before["steps"]:
        before["steps"] = after["steps"]
    if after["minutes"] is None or after["minutes"] >= (before["minutes"] or math.inf):
        before["minutes"] = after["minutes"]


def _filled(values: dict, default: dict) -> dict:
    """``values`` with the defaults of keys that came to vos after they were written."""
    filled = {**default, **values}
    for key, value in default.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            filled[key] = _filled(values[key], value)
    return filled


def _differences(before: dict, after: dict, prefix: str = "") -> list[str]:
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key}")
    return found
