"""Write the metrics of a run to metrics.jsonl and to the loggers that people watch runs with."""

from __future__ import annotations

import json
import logging
from importlib.util import find_spec
from typing import Any, Protocol

from lightning_fabric.loggers import CSVLogger, TensorBoardLogger

from vos.errors import MissingError
from vos.training.config import TrainConfig, config_text
from vos.training.run import Run

log = logging.getLogger("vos")


class Logger(Protocol):
    """What is asked of a logger; those of Fabric have it."""

    def log_metrics(self, metrics: dict[str, Any], step: int) -> None:
        """Take the metrics of a step."""

    def finalize(self, status: str) -> None:
        """Write what is left."""


class MetricsWriter:
    """Write each row to ``metrics.jsonl`` and to the loggers that the config names.

    Raises:
        MissingError: a logger that is not installed.
    """

    def __init__(self, run: Run, config: TrainConfig, step: int) -> None:
        run.forget_after(step)
        self.file = run.metrics_path.open("a", encoding="utf-8")
        self.loggers = [
            logger
            for name in config.loggers
            if (logger := _MAKERS[name](run, config, step)) is not None
        ]

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add a row."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for logger in self.loggers:
            logger.log_metrics(values, step)

    def close(self) -> None:
        """Finish all of them."""
        self.file.close()
        for logger in self.loggers:
            logger.finalize("success")


def _tensorboard(run: Run, config: TrainConfig, step: int) -> Logger | None:
    if not find_spec("tensorboard"):
        log.warning("TensorBoard is not installed: metrics go to metrics.jsonl only")
        return None
    return TensorBoardLogger(run.folder, name="tensorboard", version="", purge_step=step + 1)


def _csv(run: Run, config: TrainConfig, step: int) -> Logger:
    """Return a logger into ``csv/metrics.csv``, which begins with the rows so far."""
    (run.folder / "csv" / "metrics.csv").unlink(missing_ok=True)
    logger = CSVLogger(run.folder, name="csv", version="", flush_logs_every_n_steps=1)
    for row in run.metrics():
        values: dict[str, Any] = {key: value for key, value in row.items() if key != "step"}
        logger.log_metrics(values, int(row["step"]))
    return logger


def _wandb(run: Run, config: TrainConfig, step: int) -> Logger:
    if not find_spec("wandb"):
        raise MissingError("loggers=[wandb] needs Weights & Biases: pip install wandb")
    return _Wandb(run, config)


class _Wandb:
    """A run of Weights & Biases that goes on when the folder's run does."""

    def __init__(self, run: Run, config: TrainConfig) -> None:
        import wandb

        self.run: Any = wandb.init(
            project="vos",
            name=config.name,
            id=run.identity(),
            resume="allow",
            dir=str(run.folder),
            config={"yaml": config_text(config)},
        )

    def log_metrics(self, metrics: dict[str, Any], step: int) -> None:
        self.run.log(metrics, step=step)

    def finalize(self, status: str) -> None:
        self.run.finish()


_MAKERS = {"tensorboard": _tensorboard, "csv": _csv, "wandb": _wandb}
