"""Where tasks are done: on this machine or on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vos.errors import UsageError, near_names
from vos.machine import resolve_device

if TYPE_CHECKING:
    from vos.scheduling.tasks import Advance, Crew, OpenWorker

NAMES = ("local", "ray")


class Engine(Protocol):
    """Makes the crew that does the tasks of a job."""

    @property
    def device(self) -> str:
        """What the workers compute on: cpu, mps, cuda or one such device, cuda:1."""

    @property
    def elsewhere(self) -> bool:
        """Whether workers are outside this process, so that what they need must be sent."""

    def crew(self, open_worker: OpenWorker, advance: Advance) -> Crew:
        """The crew; ``advance`` is told how far it is by crews that know."""


@dataclass(frozen=True)
class LocalEngine:
    """This machine: one worker in this process, or several processes.

    Attributes:
        device: cpu, mps, cuda (then the workers share all such devices) or one of them, cuda:1.
        workers: how many; results do not depend on it.
    """

    device: str = "cpu"
    workers: int = 1

    @property
    def elsewhere(self) -> bool:
        return self.workers > 1

    def crew(self, open_worker: OpenWorker, advance: Advance) -> Crew:
        if self.workers == 1:
            from vos.scheduling.here import Here

            return Here(open_worker, self.device, advance)
        from vos.scheduling.processes import Processes

        return Processes(open_worker, _devices(self.device), self.workers)


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster: a worker a device.

    Attributes:
        device: cuda where the cluster has such devices and they are wanted, else cpu.
        address: of the cluster; None takes ``$RAY_ADDRESS``, or starts Ray on this machine.
        workers: at most so many; None takes one a device, or one a processor core.
    """

    device: str = "cpu"
    address: str | None = None
    workers: int | None = None
    elsewhere: bool = True

    def crew(self, open_worker: OpenWorker, advance: Advance) -> Crew:
        from vos.scheduling.ray_crew import RayCrew

        return RayCrew(open_worker, self)


def choose_engine(
    name: str = "local",
    *,
    device: str = "auto",
    address: str | None = None,
    workers: int | None = None,
) -> Engine:
    """The engine of a name; a cluster is connected to, because its devices decide.

    Raises:
        UsageError: an unknown engine, an address without a cluster, no workers.
        MissingError: the extra ``ray`` is not installed, or the device is not there.
        VosError: the cluster does not answer.
    """
    if name not in NAMES:
        raise UsageError(f"unknown engine {name!r}: {near_names(name, NAMES)}")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers takes 1 or more, not {workers}")
    if name == "local":
        if address is not None:
            raise UsageError("--address is that of a cluster: add --engine ray")
        return LocalEngine(str(resolve_device(device)), workers or 1)
    from vos.scheduling.ray_crew import connect, device_of_cluster

    connect(address)
    return RayEngine(device_of_cluster(device), address, workers)


def _devices(name: str) -> list[str]:
    if name != "cuda":
        return [name]
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or [name]
