"""Measure time and memory of the inverse consistency loss and its gradient, form by form.

    python tools/bench_loss.py --forms dense-flushed,tiled --tokens 900,3600

Every measurement runs in a process of its own, so that its peak of memory is its own and a
setting of the processor (flushing of denormal numbers) stays there.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil

from vos.benchmarks.propagation import matrix_gflops
from vos.cli.exit_codes import exit_cleanly
from vos.errors import UsageError, VosError, near_names
from vos.machine import peak_memory_mb, resolve_device

if TYPE_CHECKING:
    from torch import Tensor

    from vos.objectives import RoundTrip

CPU_FORMS = ("dense", "dense-flushed", "tiled", "pykeops")
CUDA_FORMS = ("dense", "triton", "pykeops")
PRODUCTS = 6  # two of scores forward, and the four that make gradients of them
DENSE_MATRICES = 8  # of B x N x N float32 numbers at the same time
RADIUS = 12.0


@dataclass(frozen=True)
class Measure:
    """What to measure: ``tokens`` in each of two frames, ``batch`` pairs of them."""

    form: str
    tokens: int
    batch: int
    channels: int
    repeats: int
    device: str


@dataclass(frozen=True)
class LossSpeed:
    """Best times of forward and backward over the repeats, or why there are none.

    Attributes:
        seconds: forward and backward together.
        memory_mb: peak above what the process held before, MiB.
        gflops: the six products that a loss and its gradient need at least, counted alone,
            over ``seconds``; recomputed scores count as nothing.
        matrix_gflops: what this machine's matrix product reaches with ``channels`` terms
            per sum, in the same process just before and after.
        skipped: why it was not measured; the figures are None then.
    """

    form: str
    tokens: int
    seconds: float | None = None
    forward_seconds: float | None = None
    memory_mb: float | None = None
    gflops: float | None = None
    matrix_gflops: float | None = None
    skipped: str | None = None

    @property
    def share(self) -> float | None:
        """Share of the machine's matrix-product rate."""
        return self.gflops / self.matrix_gflops if self.gflops and self.matrix_gflops else None


def bench_loss(
    tokens: list[int],
    *,
    forms: list[str] | None = None,
    batch: int = 2,
    channels: int = 64,
    repeats: int = 3,
    device: str = "cpu",
) -> Iterator[LossSpeed]:
    """Measure each form at each number of tokens, one after another.

    Raises:
        UsageError: an unknown form.
        VosError: a measurement failed.
    """
    known = CUDA_FORMS if device.startswith("cuda") else CPU_FORMS
    for form in forms or []:
        if form not in known:
            raise UsageError(f"unknown form {form!r} on {device}: {near_names(form, known)}")
    for count in tokens:
        for form in forms or known:
            wanted = Measure(form, count, batch, channels, repeats, device)
            reason = _reason_to_skip(wanted)
            if reason is not None:
                yield LossSpeed(form, count, skipped=reason)
                continue
            yield _measure_apart(wanted)


def _reason_to_skip(wanted: Measure) -> str | None:
    if wanted.form == "pykeops" and importlib.util.find_spec("pykeops") is None:
        return "not installed: pip install pykeops"
    if wanted.form.startswith("dense") and wanted.device == "cpu":
        needed = DENSE_MATRICES * 4 * wanted.batch * wanted.tokens**2
        free = psutil.virtual_memory().available
        if needed > free:
            return f"needs {needed / 2**30:.0f} GiB, {free / 2**30:.0f} GiB are free"
    return None


def _measure_apart(wanted: Measure) -> LossSpeed:
    command = [sys.executable, __file__, "--measure", json.dumps(asdict(wanted))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise VosError(f"{wanted.form} at {wanted.tokens} tokens failed: {last}")
    return LossSpeed(**json.loads(done.stdout.splitlines()[-1]))


def measure(wanted: Measure) -> LossSpeed:
    """Measure in this process, whose peak of memory must still be its own."""
    import torch

    if wanted.form == "dense-flushed":
        torch.set_flush_denormal(True)
    loss = _form(wanted.form)
    small = _features(wanted.batch, min(wanted.tokens, 300), wanted.channels, wanted.device)
    _forward_and_backward(loss, small, wanted.device)  # compiles, starts threads
    features = _features(wanted.batch, wanted.tokens, wanted.channels, wanted.device)
    rate = matrix_gflops(wanted.channels, wanted.device)
    gc.collect()
    before = _memory_mb(wanted.device)
    times = [_forward_and_backward(loss, features, wanted.device) for _ in range(wanted.repeats)]
    memory = _peak_mb(wanted.device) - before
    rate = max(rate, matrix_gflops(wanted.channels, wanted.device))
    seconds = min(total for _, total in times)
    work = PRODUCTS * 2 * wanted.batch * wanted.tokens**2 * wanted.channels
    return LossSpeed(
        form=wanted.form,
        tokens=wanted.tokens,
        seconds=seconds,
        forward_seconds=min(forward for forward, _ in times),
        memory_mb=memory,
        gflops=work / seconds / 1e9,
        matrix_gflops=rate,
    )


def _form(name: str) -> Callable[..., Tensor]:
    from vos.objectives import inverse_consistency_dense

    if name == "tiled":
        from vos.objectives.icon_tiled import inverse_consistency_tiled

        return inverse_consistency_tiled
    if name == "triton":
        from vos.objectives.icon_triton import inverse_consistency_triton

        return inverse_consistency_triton
    return inverse_consistency_keops if name == "pykeops" else inverse_consistency_dense


def inverse_consistency_keops(trip: RoundTrip) -> Tensor:
    """Return the same log-probabilities, ``(B, N)``, by pykeops, which the original uses."""
    from pykeops.torch import LazyTensor

    a_row, b_row, a_col, b_col = trip.features()

    def scores(a: Tensor, b: Tensor) -> Any:  # lazily (B, N, M)
        rows = LazyTensor(a[:, :, None, :].contiguous())
        return (rows * LazyTensor(b[:, None, :, :].contiguous())).sum(-1)

    h, v = scores(a_row, b_row), scores(a_col, b_col)
    lse_v = v.logsumexp(1)  # (B, M, 1)
    there_and_back = (h + v - LazyTensor(lse_v[:, None, :, :].contiguous())).logsumexp(2)
    return (there_and_back - h.logsumexp(2))[..., 0]


def _features(batch: int, tokens: int, channels: int, device: str) -> list[Tensor]:
    """Four sets of random features on the sphere, the two of a frame being the same places."""
    import torch

    generator = torch.Generator().manual_seed(0)
    sets = [torch.randn(batch, tokens, channels, generator=generator) for _ in range(4)]
    return [
        (RADIUS * torch.nn.functional.normalize(x, dim=2)).to(device).requires_grad_() for x in sets
    ]


def _forward_and_backward(
    loss: Callable[..., Tensor], features: list[Tensor], device: str
) -> tuple[float, float]:
    """Seconds of the forward pass, and of both."""
    from vos.objectives import RoundTrip

    for x in features:
        x.grad = None
    _wait(device)
    start = time.perf_counter()
    value = -loss(RoundTrip(*features)).mean()
    _wait(device)
    forward = time.perf_counter() - start
    value.backward()
    _wait(device)
    return forward, time.perf_counter() - start


def _wait(device: str) -> None:
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def _memory_mb(device: str) -> float:
    if device == "cpu":
        return psutil.Process().memory_info().rss / 2**20
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device) / 2**20


def _peak_mb(device: str) -> float:
    if device == "cpu":
        return peak_memory_mb()
    import torch

    return torch.cuda.max_memory_allocated(device) / 2**20


def main() -> None:
    arguments = _parse()
    if arguments.measure:
        print(json.dumps(asdict(measure(Measure(**json.loads(arguments.measure))))))
        return
    speeds = bench_loss(
        _counts(arguments.tokens),
        forms=arguments.forms.split(",") if arguments.forms else None,
        batch=arguments.batch,
        channels=arguments.channels,
        repeats=arguments.repeats,
        device=str(resolve_device(arguments.device)),
    )
    if arguments.json:
        print(json.dumps([{**asdict(speed), "share": speed.share} for speed in speeds]))
        return
    print(
        f"{'tokens':>7}  {'form':<14}{'seconds':>9}{'forward':>9}{'MiB':>8}"
        f"{'GFLOP/s':>9}  of the matrix-product rate"
    )
    for speed in speeds:
        line = f"{speed.tokens:7d}  {speed.form:<14}"
        if speed.skipped:
            print(f"{line}  {speed.skipped}", flush=True)
        else:
            print(
                f"{line}{speed.seconds:9.3f}{speed.forward_seconds:9.3f}{speed.memory_mb:8.0f}"
                f"{speed.gflops:9.1f}  {speed.share:.0%} of {speed.matrix_gflops:.0f}",
                flush=True,
            )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", default="900,3600,14400", help="per frame, with commas")
    parser.add_argument("--forms", help="dense, dense-flushed, tiled, triton, pykeops; default all")
    parser.add_argument("--batch", type=int, default=2, help="pairs of frames")
    parser.add_argument("--channels", type=int, default=64, help="of the features")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # one measurement, in this process
    return parser.parse_args()


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise UsageError(f"--tokens takes numbers with commas, not {text!r}")
    return counts


if __name__ == "__main__":
    with exit_cleanly("bench_loss"):
        main()
