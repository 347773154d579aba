"""The Triton kernels against the dense form in float64.

Without a CUDA device they run in Triton's interpreter, which must be chosen before the kernels
are imported: in a process of its own.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from vos.objectives import RoundTrip, inverse_consistency, inverse_consistency_dense

pytest.importorskip("triton", reason="Triton is not installed")

INTERPRETED = """
import sys
import torch
from vos.objectives import RoundTrip
from vos.objectives.icon_triton import inverse_consistency_triton

results = []
for features, masks, floor in torch.load(sys.argv[1]):
    features = [x.requires_grad_() for x in features]
    log_p = inverse_consistency_triton(RoundTrip(*features, **masks), floor=floor)
    log_p.backward(torch.linspace(0.5, 1.5, log_p.numel()).view(log_p.shape))
    results.append([log_p.detach(), *(x.grad for x in features)])
torch.save(results, sys.argv[2])
"""


def case(n, m, channels, *, radius, noise, dtype=torch.float32, masked=False, floor=0.0):
    """Features of two samples, alike up to noise where it is given, masks and floor."""
    generator = torch.Generator().manual_seed(n * 1000 + m)

    def draw(count: int) -> torch.Tensor:
        return torch.randn(2, count, channels, generator=generator)

    if noise is None:
        sets = [draw(count) for count in (n, m, n, m)]
    else:
        base = draw(max(n, m))
        sets = [base[:, :count] + noise * draw(count) for count in (n, m, n, m)]
    sets = [(radius * functional.normalize(x, dim=2)).to(dtype) for x in sets]
    masks = {}
    if masked:
        masks = {
            "a_valid": torch.rand(2, n, generator=generator) < 0.7,
            "b_valid": torch.rand(2, m, generator=generator) < 0.7,
        }
        masks["b_valid"][1] = False
    return sets, masks, floor


CASES = {
    "odd sizes": case(97, 70, 16, radius=12, noise=0.5),
    "far apart": case(131, 64, 16, radius=20, noise=None),
    "masks, odd channels": case(40, 90, 11, radius=3, noise=0.5, masked=True),
    "floor, masks": case(40, 90, 11, radius=6, noise=0.5, masked=True, floor=1e-4),
    "many channels": case(33, 45, 80, radius=1, noise=None),
    "bfloat16": case(100, 90, 16, radius=12, noise=0.3, dtype=torch.bfloat16),
    "float16": case(100, 90, 16, radius=12, noise=0.3, dtype=torch.float16),
}


def value_and_gradients(function, sets, masks, floor):
    sets = [x.detach().clone().requires_grad_() for x in sets]
    log_p = function(RoundTrip(*sets, **masks), floor=floor)
    upstream = torch.linspace(0.5, 1.5, log_p.numel(), dtype=log_p.dtype, device=log_p.device)
    log_p.backward(upstream.view(log_p.shape))
    return [log_p.detach(), *(x.grad for x in sets)]


def assert_agrees(found, sets, masks, floor):
    exact = [x.double() for x in sets]
    expected = value_and_gradients(inverse_consistency_dense, exact, masks, floor)
    rounding = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}[sets[0].dtype]
    for which, (a, b) in enumerate(zip(found, expected, strict=True)):
        error = (a.double() - b).norm() / b.norm()
        assert error < (rounding if which else 1e-5), f"result {which}: {error:.1e}"


@pytest.fixture(scope="module")
def interpreted(in_interpreter):
    """Results of all cases, computed in the interpreter."""
    return in_interpreter(INTERPRETED, CASES)


@pytest.mark.parametrize("name", CASES)
def test_interpreted_kernels_agree_with_float64(interpreted, name):
    sets, masks, floor = CASES[name]
    assert_agrees(interpreted[name], sets, masks, floor)
    if masks:
        assert (interpreted[name][0][1] == 0).all()


SUMS = ("sums_a", "sums_b", "log_p", "grad", "column_sum")
KERNELS = ("_sums_of_b", "_sums_of_a", "_gradients_of_b", "_gradients_of_a")


def types_of(kernel, constants, dtype):
    features = "*fp32" if dtype is torch.float32 else "*fp16"
    types = {key: features for key in kernel.arg_names if key not in constants}
    types |= dict.fromkeys(("a_valid", "b_valid"), "*u8")
    return types | dict.fromkeys(("n", "m", "channels"), "i32") | dict.fromkeys(SUMS, "*fp32")


@pytest.mark.parametrize("channels", [64, 128, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compile_for_a_gpu(compiled_for_cuda, monkeypatch, name, dtype, channels):
    from vos.objectives import icon_triton

    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    kernel = getattr(icon_triton, name)
    blocks = icon_triton._blocks(torch.zeros(1, 4, channels, dtype=dtype))
    constants = {key: value for key, value in blocks.items() if key.isupper()}
    compiled = compiled_for_cuda(kernel, types_of(kernel, constants, dtype), constants)
    assert "tf32" in compiled.asm["ptx"]
    assert compiled.metadata.shared <= 99 * 1024


@pytest.mark.parametrize("channels", [64, 128])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_fit_cards_of_64_kib(compiled_for_cuda, monkeypatch, name, dtype, channels):
    from vos.objectives import icon_triton

    card = SimpleNamespace(shared_memory_per_block_optin=64 * 1024)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    device = torch.device("cuda")
    assert channels <= icon_triton.most_channels(device) < 256
    features = SimpleNamespace(shape=(1, 4, channels), dtype=dtype, device=device)
    kernel = getattr(icon_triton, name)
    blocks = icon_triton._blocks(features)
    constants = {key: value for key, value in blocks.items() if key.isupper()}
    types = types_of(kernel, constants, dtype)
    assert compiled_for_cuda(kernel, types, constants, 75).metadata.shared <= 64 * 1024


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", CASES)
def test_compiled_kernels_agree_with_float64(name):
    from vos.objectives.icon_triton import inverse_consistency_triton

    sets, masks, floor = CASES[name]
    sets = [x.cuda() for x in sets]
    masks = {key: mask.cuda() for key, mask in masks.items()}
    found = value_and_gradients(inverse_consistency_triton, sets, masks, floor)
    assert_agrees(found, sets, masks, floor)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_on_the_device_is_linear():
    sets, masks, floor = case(14_400, 14_400, 64, radius=12, noise=0.5)
    sets = [x.cuda() for x in sets]
    torch.cuda.reset_peak_memory_stats()
    value_and_gradients(inverse_consistency, sets, masks, floor)
    assert torch.cuda.max_memory_allocated() < 300 * 2**20
