"""Starting the processes of a run, and stopping them between two steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lightning_fabric import Fabric

from vos.errors import UsageError
from vos.machine import resolve_device
from vos.training.config import TrainConfig
from vos.training.precision import precision_on


def launch(config: TrainConfig, device: str, devices: int) -> Fabric:
    """Start the processes of the run; each of them goes on from here."""
    local, world = devices, devices
    if "TORCHELASTIC_RUN_ID" in os.environ:  # started by torchrun
        local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if config.batch % (config.optimiser.accumulate * world):
        raise UsageError(
            f"batch {config.batch} cannot be shared by {world} processes x "
            f"{config.optimiser.accumulate} parts: choose a multiple"
        )
    place = resolve_device(device)
    chosen: Any = [place.index] if place.index is not None and local == 1 else local
    fabric = Fabric(
        accelerator=place.type,
        devices=chosen,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision=precision_on(place, config.precision),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


class Stop:
    """Whether a signal asked the run to stop."""

    is_set = False


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Let the first Ctrl-C or SIGTERM end the step that is being made; a second one ends it now.

    Outside the main thread signals cannot be caught, and the block runs without.
    """
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set:
            raise KeyboardInterrupt
        stop.is_set = True

    previous: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, handle)
    except ValueError:
        pass
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
