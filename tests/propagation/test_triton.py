"""The Triton engine against the reference.

Without a CUDA device the kernel runs in Triton's interpreter, which must be chosen before it is
imported: in a process of its own.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from toy_clips import run

from vos.propagation import PRESETS, preset

pytest.importorskip("triton", reason="Triton is not installed")

INTERPRETED = """
import sys
import torch
from vos.propagation.engines import triton

torch.cuda.device_of = lambda tensor: torch.no_grad()
cases = torch.load(sys.argv[1], weights_only=False)
torch.save([triton.propagate_labels(*case) for case in cases], sys.argv[2])
"""


def _case(config, *, grid=(6, 7), objects=2, channels=40, frames=2, led=False):
    """What a step takes: a frame, its sources (one of them counted twice), grid and config."""
    from vos.propagation.context import ContextFrame, Source

    generator = torch.Generator().manual_seed(objects)
    tokens = grid[0] * grid[1]

    def frame(index: int) -> ContextFrame:
        features = torch.randn(tokens, channels, generator=generator)
        features = torch.nn.functional.normalize(features, dim=1)
        labels = torch.rand(tokens, objects + 1, generator=generator)
        return ContextFrame(index, features.half().float(), labels)  # the kernel takes float16

    def leads() -> torch.Tensor | None:
        """Most tokens are led to any place, some to their own."""
        own, anywhere = torch.arange(tokens), torch.randint(tokens, (tokens,), generator=generator)
        return torch.where(own % 5 == 0, own, anywhere) if led else None

    sources = [
        Source(frame(i), windowed=True, count=1 + (i == 1), leads=leads()) for i in range(frames)
    ]
    if not config.annotated_in_window:
        sources.append(Source(frame(frames), windowed=False))
    return frame(-1).features, sources, grid, config


CASES = {
    "frame 0 anywhere": _case(dataclasses.replace(preset("crw"), radius=3)),
    "square window": _case(dataclasses.replace(preset("dino"), radius=2)),
    "no window": _case(preset("fmicon")),
    "prior on motion": _case(dataclasses.replace(preset("default"), motion_sigma=2.0)),
    "flow": _case(dataclasses.replace(preset("crw"), radius=2), led=True),
    "flow, prior on motion": _case(
        dataclasses.replace(preset("dino"), radius=2, motion_sigma=2.0), led=True
    ),
    "many objects": _case(preset("dino"), objects=20, channels=130, grid=(5, 8)),
    "more neighbours than places": _case(
        dataclasses.replace(preset("vfs"), radius=1, neighbours=30), grid=(4, 3)
    ),
}


@pytest.fixture(scope="module")
def interpreted(in_interpreter):
    """Results of all cases, computed in the interpreter."""
    return in_interpreter(INTERPRETED, CASES)


@pytest.mark.parametrize("name", CASES)
def test_interpreted_kernel_agrees_with_the_reference(interpreted, name):
    from vos.propagation.engines import reference

    expected = reference.propagate_labels(*CASES[name])
    torch.testing.assert_close(interpreted[name], expected, atol=2e-5, rtol=0)


TYPES = {
    **dict.fromkeys(("keys", "labels", "leads"), "*i64"),
    **dict.fromkeys(("windowed", "counts", "halves"), "*i32"),
    **dict.fromkeys(("sources", "height", "width", "reach_y", "reach_x"), "i32"),
    **dict.fromkeys(("channels", "classes"), "i32"),
    **dict.fromkeys(("penalty", "temperature"), "fp32"),
    "query": "*fp16",
    "result": "*fp32",
}


@pytest.mark.parametrize(("neighbours", "slots", "classes"), [(1, 1, 2), (7, 8, 4), (20, 32, 32)])
def test_kernel_compiles_for_a_gpu(compiled_for_cuda, neighbours, slots, classes):
    from vos.propagation.engines import triton, triton_kernels

    sizes = {name: getattr(triton, name) for name in ("SIDE", "PLACES", "CHANNELS")}
    constants = {"NEIGHBOURS": neighbours, "SLOTS": slots, "CLASSES": classes, **sizes}
    kernel = compiled_for_cuda(triton_kernels.propagate, TYPES, constants)
    assert "mma" in kernel.asm["ptx"]  # products are left to the matrix units


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", PRESETS)
def test_masks_of_the_compiled_kernel_equal_those_of_the_reference(name):
    expected, _ = run(preset(name), "reference", (30, 53), [1, 4, 9], device="cuda")
    found, _ = run(preset(name), "triton", (30, 53), [1, 4, 9], device="cuda")
    assert (found == expected).mean() >= 0.999
