"""Where the measures of each step go."""

from __future__ import annotations

import json
from collections.abc import Callable

from vos.training.run import Run


class MetricsWriter:
    """Writes each row to ``metrics.jsonl`` and, where TensorBoard is installed, for it too."""

    def __init__(self, run: Run, step: int, *, warn: Callable[[str], None]) -> None:
        run.forget_after(step)
        self.file = run.metrics_path.open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            warn("TensorBoard is not installed: metrics go to metrics.jsonl only")
            self.board = None
        else:
            self.board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add a row."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish both."""
        self.file.close()
        if self.board is not None:
            self.board.close()
