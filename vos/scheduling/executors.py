"""Choose where tasks are done: on this machine or on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass

from vos.errors import UsageError, near_names
from vos.machine import resolve_device
from vos.scheduling.in_process import InProcess
from vos.scheduling.processes import Processes
from vos.scheduling.ray_pool import RayExecutor, connect, device_of_cluster
from vos.scheduling.tasks import Advance, Executor, OpenWorker, WorkerPool

NAMES = ("local", "ray")


@dataclass(frozen=True)
class LocalExecutor:
    """Run tasks on this machine: one worker in this process, or several processes.

    Attributes:
        device: cpu, mps, cuda (then the workers share all such devices) or one of them, cuda:1.
        workers: how many; results do not depend on it.
    """

    device: str = "cpu"
    workers: int = 1

    @property
    def is_remote(self) -> bool:
        return self.workers > 1

    def pool(self, open_worker: OpenWorker, advance: Advance) -> WorkerPool:
        if self.workers == 1:
            return InProcess(open_worker, self.device, advance)
        return Processes(open_worker, _devices(self.device), self.workers)


def choose_executor(
    name: str = "local",
    *,
    device: str = "auto",
    address: str | None = None,
    workers: int | None = None,
) -> Executor:
    """Return the executor of a name; a cluster is connected to, because its devices decide.

    Raises:
        UsageError: an unknown executor, an address without a cluster, no workers.
        MissingError: the extra ``ray`` is not installed, or the device is not there.
        VosError: the cluster does not answer.
    """
    if name not in NAMES:
        raise UsageError(f"unknown executor {name!r}: {near_names(name, NAMES)}")
    if workers is not None and workers < 1:
        raise UsageError(f"`workers` must be 1 or more, not {workers}")
    if name == "local":
        if address is not None:
            raise UsageError("address is that of a cluster: it goes with the executor ray")
        return LocalExecutor(str(resolve_device(device)), workers or 1)
    connect(address)
    return RayExecutor(device_of_cluster(device), address, workers)


def _devices(name: str) -> list[str]:
    if name != "cuda":
        return [name]
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or [name]
