"""Describe this machine: device to compute on, versions, hardware, memory used."""

from __future__ import annotations

import logging
import os
import platform
import resource
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.errors import MissingError, UsageError, near_names
from vos.version import __version__

if TYPE_CHECKING:
    import torch

log = logging.getLogger("vos")

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that exists here.

    Raises:
        UsageError: the name is none of these.
        MissingError: the device is not on this machine.
    """
    import torch

    kind = name.split(":")[0]
    if kind not in DEVICES:
        raise UsageError(f"unknown device {name!r}: {near_names(name, DEVICES)}")
    if kind == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[kind]:
        raise MissingError(f"no {kind} device on this machine: use device auto or cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: give a name like cuda or cuda:1") from None
    if kind == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise MissingError(f"no device {name} on this machine: it has {count}, from cuda:0 on")
    return device


@cache
def triton_works() -> bool:
    """Return whether Triton can start kernels on the CUDA devices of this machine.

    Beside the package it needs a C compiler and Python's headers, which slim images lack: that is
    said once.
    """
    if find_spec("triton") is None:
        return False
    try:
        from triton.runtime import driver

        driver.active.get_current_device()
    except Exception as error:  # whatever a compiler, or what starts it, raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        log.warning(
            "Triton does not work here (%s): slower forms take its place. It needs a C compiler "
            "and Python's headers, such as the packages gcc and python3-dev",
            reason,
        )
        return False
    return True


def device_name(device: torch.device) -> str:
    """Return what people call a device: ``cpu (AMD EPYC, 2 cores)``, ``cuda (NVIDIA H100)``."""
    if device.type == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({_processor_name()}, {processors()} cores)"
    return device.type


def processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, in MiB."""
    try:
        # What getrusage tells on Linux includes the size of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError, ValueError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def versions() -> dict[str, str]:
    """Return versions of vos and of the libraries that decide its figures."""
    names = ("torch", "torchvision", "onnxruntime", "numpy", "opencv-python", "av", "timm")
    found = {"python": platform.python_version(), "vos-propagation": __version__}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe() -> dict[str, Any]:
    """Return system, processor, cores, memory (GiB) and accelerators of this machine."""
    import psutil
    import torch

    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor_name(),
        "cores": processors(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerators": [
            torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
        ],
    }


def is_running(process: int, began: float) -> bool:
    """Return whether a process is at work: one of this number, which began at this time.

    Args:
        began: seconds since 1970, as `psutil.Process.create_time` tells it.
    """
    import psutil

    try:
        known = psutil.Process(process)
        ended = known.status() == psutil.STATUS_ZOMBIE
        return not ended and abs(known.create_time() - began) < 1
    except psutil.AccessDenied:  # it is there
        return True
    except (psutil.NoSuchProcess, ValueError):
        return False


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
