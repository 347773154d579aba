"""Run workers as actors of a Ray cluster: one per GPU, or per processor core if there is none.

An actor holds the model and does one task after another. Ray is told never to restart one: the
scheduler sees every loss, gives the task to another worker and starts a new one, on whatever nodes
the cluster has by then.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from vos.errors import MissingError, UsageError, VosError
from vos.progress import set_quiet
from vos.scheduling.in_process import worker_place
from vos.scheduling.tasks import (
    Advance,
    Event,
    Failed,
    FailedToStart,
    Lost,
    OpenWorker,
    Ready,
    Task,
    Work,
    WorkerPool,
    as_vos_error,
    attempt,
)

log = logging.getLogger("vos")

INSTALL = "pip install 'vos-propagation[ray]'"


@dataclass(frozen=True)
class RayExecutor:
    """Run tasks on a Ray cluster: one worker per device.

    Attributes:
        device: cuda where the cluster has such devices and they are wanted, else cpu.
        address: of the cluster; None takes ``$RAY_ADDRESS``, or starts Ray on this machine.
        workers: at most so many; None takes one per device, or one per processor core.
    """

    device: str = "cpu"
    address: str | None = None
    workers: int | None = None
    is_remote: bool = True

    def pool(self, open_worker: OpenWorker, advance: Advance) -> WorkerPool:
        return RayPool(open_worker, self)


def import_ray() -> ModuleType:
    """Import Ray.

    Raises:
        MissingError: the extra is not installed.
    """
    # What Ray is going to do by itself in a later version: workers without a GPU see no GPU.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    try:
        import ray
    except ImportError as error:
        raise MissingError(f"Ray is missing: {INSTALL}") from error
    return ray


def connect(address: str | None) -> None:
    """Connect to a cluster, or start Ray on this machine; nothing where that is done already.

    Raises:
        MissingError: the extra is not installed.
        VosError: no cluster answers at this address.
    """
    ray = import_ray()
    if ray.is_initialized():
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, TimeoutError, ValueError, RuntimeError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise VosError(
            f"no Ray cluster answers at {address or os.environ.get('RAY_ADDRESS', 'this machine')}"
            f" ({lines[0]}): `ray start --head` starts one"
        ) from error


def device_of_cluster(wanted: str) -> str:
    """Return cuda where the cluster has GPUs and they are wanted, else cpu.

    Raises:
        UsageError: a kind of device that clusters do not have.
        MissingError: cuda is wanted and no node has any.
    """
    resources = import_ray().cluster_resources()
    gpus = int(resources.get("GPU", 0))
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"the executor ray takes device auto, cpu or cuda, not {wanted}")
    if wanted == "cuda" and not gpus:
        raise MissingError("no node of the cluster has a GPU: use device cpu")
    nodes = sum(1 for node in import_ray().nodes() if node["Alive"])
    log.info("cluster: %d nodes, %d processor cores, %d GPUs", nodes, resources.get("CPU", 0), gpus)
    return "cuda" if gpus and wanted != "cpu" else "cpu"


class RayPool:
    """A pool of actors."""

    def __init__(self, open_worker: OpenWorker, executor: RayExecutor) -> None:
        self._ray = import_ray()
        self._limit = executor.workers
        self._device = executor.device
        self._open = self._ray.put(open_worker)
        gpus = 1 if executor.device == "cuda" else 0
        self._make = self._ray.remote(_Worker).options(
            num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0
        )
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}  # what is under way, and whose it is
        self._started = 0

    def capacity(self) -> int:
        """Return one worker per device of the cluster as it is now."""
        resources = self._ray.cluster_resources()
        devices = int(resources.get("GPU" if self._device == "cuda" else "CPU", 0))
        # At least one, which waits for a node to come: clusters grow when something waits.
        return max(1, min(devices, self._limit or devices))

    def start(self) -> int:
        number = self._started
        self._started += 1
        actor = self._make.remote(number, self._device)
        self._actors[number] = actor
        self._pending[actor.open.remote(self._open)] = number
        return number

    def submit(self, worker: int, task: Task) -> None:
        self._pending[self._actors[worker].do.remote(task.payload)] = worker

    def wait(self, seconds: float) -> list[Event]:
        if not self._pending:
            return []
        known = list(self._pending)
        found, _ = self._ray.wait(known, num_returns=1, timeout=seconds)
        if found:
            found, _ = self._ray.wait(known, num_returns=len(known), timeout=0)
        return [self._event(reference) for reference in found]

    def shutdown(self) -> None:
        for actor in self._actors.values():
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._ray.kill(actor)
        self._actors.clear()

    def _event(self, reference: Any) -> Event:
        worker = self._pending.pop(reference)
        errors = self._ray.exceptions
        try:
            event: Event = self._ray.get(reference)
        except (errors.ActorDiedError, errors.ActorUnavailableError, errors.RayActorError) as error:
            return self._lost(worker, str(error))
        except errors.RayTaskError as error:  # such as a module that the node does not have
            return Failed(worker, as_vos_error(error), again=True)
        except errors.RayError as error:
            return self._lost(worker, str(error))
        if isinstance(event, FailedToStart):
            self._ray.kill(self._actors.pop(worker))  # it would keep its device
        return event

    def _lost(self, worker: int, message: str) -> Lost:
        actor = self._actors.pop(worker, None)
        if actor is not None:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)  # one that cannot be reached must not go on
        return Lost(worker, _reason(message))


def _reason(message: str) -> str:
    """Shorten what Ray says of a dead actor."""
    lowered = message.lower()
    if "node" in lowered and ("died" in lowered or "dead" in lowered or "terminated" in lowered):
        return "its node died" if "worker process" not in lowered else "its process died"
    if "out of memory" in lowered or "oom" in lowered:
        return "its node ran out of memory"
    return "its process died"


class _Worker:
    """A worker as a Ray actor."""

    def __init__(self, number: int, device: str) -> None:
        self._number = number
        self._device = device
        self._work: Work | None = None

    def open(self, open_worker: OpenWorker) -> Event:
        set_quiet(True)
        try:
            self._work = open_worker(self._device)
        except Exception as error:
            reason = as_vos_error(error)
            return FailedToStart(self._number, type(reason)(f"{reason} (on {worker_place()})"))
        return Ready(self._number)

    def do(self, payload: Any) -> Event:
        assert self._work is not None
        return attempt(self._work, self._number, payload, where=worker_place())
