"""Group convolutions and what goes with them commute with turns and mirror images."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from vos.backbones.inference import fold_batch_norm
from vos.backbones.layers.fields import FieldNorm, FieldReLU, Fields, GroupPool
from vos.backbones.layers.filter_bases import filter_basis
from vos.backbones.layers.group_conv import GroupConv
from vos.backbones.layers.groups import Group
from vos.backbones.layers.rotation_blocks import FeatureHead, FieldResidual
from vos.errors import UsageError

NAMES = ("c1", "c2", "c4", "c8", "d4")
SIZES = [(8, 8), (7, 7), (7, 10)]


def quarter_elements(group: Group) -> list[int]:
    """Elements that take pixels to pixels."""
    return [
        element
        for element in range(group.order)
        if 4 * (element % group.rotations) % group.rotations == 0
    ]


def error(layer: torch.nn.Module, before: Fields, after: Fields, size: tuple[int, int]) -> float:
    """Largest relative difference between acting first and acting last, over the group."""
    features = torch.randn(2, before.channels, *size)
    worst = 0.0
    with torch.no_grad():
        plain = layer(features)
        for element in quarter_elements(before.group):
            difference = layer(before.act(features, element)) - after.act(plain, element)
            worst = max(worst, float(difference.abs().max() / plain.abs().max()))
    return worst


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("regular_in", "regular_out"), itertools.product([False, True], repeat=2))
@pytest.mark.parametrize("border", ["zeros", "replicate", "circular"])
def test_exact_for_every_kind_of_field(
    name: str, regular_in: bool, regular_out: bool, border: str
) -> None:
    group = Group.named(name)
    before, after = Fields(group, 3, regular_in), Fields(group, 2, regular_out)
    for filter_size, size in itertools.product((1, 3, 5), SIZES):
        layer = GroupConv(before, after, filter_size, bias=True, border=border).eval()
        torch.nn.init.normal_(layer.bias)
        assert error(layer, before, after, size) < 1e-5


@pytest.mark.parametrize("name", ["c4", "c8", "d4"])
def test_norm_relu_pool_and_blocks_are_exact(name: str) -> None:
    group = Group.named(name)
    image, fields = Fields(group, 3, False), Fields(group, 2, True)
    wide = Fields(group, 4, True)
    norm = FieldNorm(fields)
    norm(3 * torch.randn(4, fields.channels, 5, 5) + 1)  # statistics of its own
    layers = [
        (norm.eval(), fields, fields),
        (FieldNorm(fields).train(), fields, fields),
        (FieldReLU(fields), fields, fields),
        (GroupPool(fields), fields, Fields(group, 2, False)),
        (FieldResidual(image, wide).eval(), image, wide),
        (FeatureHead(fields, 5, "invariant").eval(), fields, Fields(group, 5, False)),
        (FeatureHead(fields, 5, "regular").eval(), fields, Fields(group, 5, True)),
    ]
    for layer, before, after in layers:
        assert layer.fields == after
        for size in SIZES:
            assert error(layer, before, after, size) < 1e-5, layer


def test_lifting_is_one_filter_turned_and_mirrored() -> None:
    group = Group.named("d4")
    layer = GroupConv(Fields(group, 1, False), Fields(group, 1, True), 3).eval()
    filters = layer.filters()[:, 0]
    for element in range(8):
        assert torch.equal(filters[element], group.act_on_grid(filters[0], element))


def test_filters_of_c8_turn_smoothly() -> None:
    """The basis at 45 degrees is the analytic one: eight such turns lead back, in any order."""
    basis = filter_basis(Group.named("c8"), 5)
    assert basis.shape == (8, 15, 5, 5)
    quarter = torch.rot90(basis, 1, (-2, -1))
    torch.testing.assert_close(quarter, basis.roll(-2, dims=0), rtol=0, atol=1e-6)
    # A ring is the same at every angle.
    torch.testing.assert_close(basis[1, 1], basis[0, 1], rtol=0, atol=1e-6)


def test_other_angles_are_approximate_and_the_smaller_group_is_worse() -> None:
    """Turns by 45 degrees of a smooth picture: C8 comes close, C4 does not."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 65, 65, generator=generator)
    picture = _gaussian(noise, 2.5)
    errors = {}
    for name in ("c4", "c8"):
        torch.manual_seed(0)
        group = Group.named(name)
        image, fields = Fields(group, 1, False), Fields(group, 4, True)
        layer = torch.nn.Sequential(GroupConv(image, fields, 5), GroupPool(fields)).eval()
        with torch.no_grad():
            first, last = layer(_turn(picture)), _turn(layer(picture))
        inside = (..., slice(20, 45), slice(20, 45))
        errors[name] = float((first - last)[inside].square().sum() / last[inside].square().sum())
    assert 1e-6 < errors["c8"] < 0.05
    assert errors["c4"] > 2 * errors["c8"]


def test_evaluation_expands_filters_once_and_training_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    expand = GroupConv.expand
    monkeypatch.setattr(GroupConv, "expand", lambda self: calls.append(1) or expand(self))
    group = Group.named("c4")
    layer = GroupConv(Fields(group, 3, False), Fields(group, 2, True))
    images = torch.rand(1, 3, 6, 6)
    layer.eval()
    with torch.no_grad():
        for _ in range(3):
            layer(images)
    assert len(calls) == 1
    layer.train()
    for _ in range(3):
        layer(images).sum().backward()
    assert len(calls) == 4
    assert layer.weight.grad is not None


def test_kept_filters_follow_the_weights() -> None:
    group = Group.named("c8")
    make = lambda: GroupConv(Fields(group, 3, False), Fields(group, 2, True))  # noqa: E731
    layer, other = make().eval(), make().eval()
    images = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        expected = other(images)
        layer.load_state_dict(other.state_dict())
        assert torch.equal(layer(images), expected)
        assert layer.double()(images.double()).dtype == torch.double
    # Training in evaluation mode (frozen batch norms): the step must show at once.
    layer.float()(images).square().sum().backward()
    with torch.no_grad():
        layer.weight -= 0.1 * layer.weight.grad
        fresh = functional.conv2d(images, layer.expand(), padding=1)
        torch.testing.assert_close(layer(images), fresh)
    assert set(layer.state_dict()) == {"weight"}


def test_the_plain_form_folds_and_gives_the_same() -> None:
    group = Group.named("d4")
    block = FieldResidual(Fields(group, 3, False), Fields(group, 2, True), "circular")
    for _ in range(3):
        block(torch.randn(4, 3, 9, 9))
    folded = fold_batch_norm(block)
    kinds = {type(module) for module in folded.modules()}
    assert GroupConv not in kinds
    assert torch.nn.BatchNorm2d not in kinds
    images = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(folded(images), block.eval()(images), rtol=1e-4, atol=1e-5)


def test_what_makes_no_sense_is_refused() -> None:
    c4, d4 = Fields(Group.named("c4"), 1, True), Fields(Group.named("d4"), 1, True)
    with pytest.raises(UsageError, match="one group"):
        GroupConv(c4, d4)
    with pytest.raises(UsageError, match="odd size"):
        GroupConv(c4, c4, 4)
    with pytest.raises(UsageError, match="did you mean circular"):
        GroupConv(c4, c4, border="circle")


def _gaussian(picture: torch.Tensor, sigma: float) -> torch.Tensor:
    place = torch.arange(-9, 10, dtype=torch.float)
    taps = torch.exp(-0.5 * (place / sigma) ** 2)
    taps /= taps.sum()
    return functional.conv2d(
        functional.conv2d(picture, taps.view(1, 1, -1, 1), padding=(9, 0)),
        taps.view(1, 1, 1, -1),
        padding=(0, 9),
    )


def _turn(maps: torch.Tensor) -> torch.Tensor:
    half = 0.5**0.5
    matrix = torch.tensor([[[half, half, 0.0], [-half, half, 0.0]]])
    grid = functional.affine_grid(matrix, [1, 1, *maps.shape[-2:]], align_corners=False)
    return functional.grid_sample(maps, grid, mode="bicubic", align_corners=False)
