"""Start the processes of a run, and stop them between two steps."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric

from vos.errors import UsageError
from vos.machine import resolve_device
from vos.scheduling.processes import GIB, available_memory
from vos.training.config import TrainConfig
from vos.training.icon import DRAWS
from vos.training.precision import precision_on

log = logging.getLogger("vos")

GRACE = 20.0  # seconds; schedulers kill 30 s after SIGTERM
INTERRUPTED = 130  # exit code


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
    _check_memory(config, place, local, world)
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


def _check_memory(config: TrainConfig, place: torch.device, local: int, world: int) -> None:
    """Refuse a batch whose images alone do not fit, before anything is allocated for it.

    Features and gradients take many times as much: what passes here may still be too large.
    """
    pairs = config.batch // config.optimiser.accumulate // world
    draws = DRAWS if config.objective.name == "icon" else 1
    needed = pairs * draws * 3 * config.crop.size**2 * 4  # float32
    if place.type == "cuda":
        free = torch.cuda.mem_get_info(place)[0]
    else:
        needed *= local  # processes share the memory of the machine
        free = available_memory()
    if needed > free:
        raise UsageError(
            f"batch {config.batch} does not fit: its images take {needed / GIB:.1f} GiB, and "
            f"{free / GIB:.1f} GiB are free: choose a smaller batch, a smaller crop.size or a "
            "larger optimiser.accumulate"
        )


class Stop:
    """Whether a signal asked the run to stop, and the time that a step then has to end."""

    def __init__(self) -> None:
        self._is_set = False
        self._settled = threading.Event()

    def asked(self) -> bool:
        """Return whether to stop; called between steps, and none is cut short from then on."""
        if self._is_set:
            self._settled.set()
        return self._is_set

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: the first one asks, a second one stops the step that is being made.

        A process that gets SIGTERM is about to be killed: its step is cut short after ``GRACE``.
        """
        if self._is_set:
            raise KeyboardInterrupt
        self._is_set = True
        if number == signal.SIGINT:
            log.warning("stopping after this step (Ctrl-C again stops it now)")

    def end(self) -> None:
        """Let nothing be cut short any more."""
        self._settled.set()

    def watch(self, signals: socket.socket) -> None:
        """In a thread: see signals at once, even while the main one is within an operation."""
        while number := signals.recv(1):
            if number[0] == signal.SIGTERM:
                self._cut_short()

    def _cut_short(self) -> None:
        if self._settled.wait(GRACE):
            return
        signal.raise_signal(signal.SIGINT)  # the main thread sees it between two operations
        if not self._settled.wait(GRACE):  # it is within one long operation
            print("vos: interrupted in the middle of a step", file=sys.stderr, flush=True)
            os._exit(INTERRUPTED)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Let a step end before the run stops at Ctrl-C or SIGTERM, see `Stop.handle`.

    Outside the main thread signals cannot be caught, and the block runs without.
    """
    stop = Stop()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    previous: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, stop.handle)
        before = signal.set_wakeup_fd(writer.fileno())
    except ValueError:
        pass
    else:
        threading.Thread(target=stop.watch, args=(reader,), daemon=True).start()
    try:
        yield stop
    finally:
        stop.end()
        for number, handler in previous.items():
            signal.signal(number, handler)
        if previous:
            signal.set_wakeup_fd(before)
        writer.close()  # the thread ends
