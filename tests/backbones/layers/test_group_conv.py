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
@pytest.mark.parametrize(
    ("kind_in", "kind_out"), itertools.product(("trivial", "regular"), repeat=2)
)
@pytest.mark.parametrize("border", ["zeros", "replicate", "circular"])
def test_exact_for_every_kind_of_field(name: str, kind_in: str, kind_out: str, border: str) -> None:
    group = Group.named(name)
    before, after = Fields(group, 3, kind_in), Fields(group, 2, kind_out)
    for filter_size, size in itertools.product((1, 3, 5), SIZES):
        layer = GroupConv(before, after, filter_size, bias=True, border=border).eval()
        torch.nn.init.normal_(layer.bias)
        assert error(layer, before, after, size) < 1e-5


@pytest.mark.parametrize("name", ["c4", "c8", "d4"])
def test_norm_relu_pool_and_blocks_are_exact(name: str) -> None:
    group = Group.named(name)
    image, fields = Fields(group, 3), Fields(group, 2, "regular")
    wide = Fields(group, 4, "regular")
    norm = FieldNorm(fields)
    norm(3 * torch.randn(4, fields.channels, 5, 5) + 1)  # statistics of its own
    layers = [
        (norm.eval(), fields, fields),
        (FieldNorm(fields).train(), fields, fields),
        (FieldReLU(fields), fields, fields),
        (GroupPool(fields), fields, Fields(group, 2)),
        (FieldResidual(image, wide).eval(), image, wide),
        (FeatureHead(fields, 5, "invariant").eval(), fields, Fields(group, 5)),
        (FeatureHead(fields, 5, "regular").eval(), fields, Fields(group, 5, "regular")),
        (FeatureHead(fields, 5, "vector").eval(), fields, Fields(group, 5, "vector")),
    ]
    for layer, before, after in layers:
        assert layer.fields == after
        for size in SIZES:
            assert error(layer, before, after, size) < 1e-5, layer


def test_lifting_is_one_filter_turned_and_mirrored() -> None:
    group = Group.named("d4")
    layer = GroupConv(Fields(group, 1), Fields(group, 1, "regular"), 3).eval()
    filters = layer.filters()[:, 0]
    for element in range(8):
        assert torch.equal(filters[element], group.act_on_grid(filters[0], element))


def test_filters_of_c8_turn_smoothly() -> None:
    """The basis at 45 degrees is the analytic one: eight such turns lead back, in any order."""
    basis = filter_basis(Group.named("c8"), 5)
    assert basis.shape == (8, 11, 5, 5)
    quarter = torch.rot90(basis, 1, (-2, -1))
    torch.testing.assert_close(quarter, basis.roll(-2, dims=0), rtol=0, atol=1e-6)
    # A ring is the same at every angle.
    torch.testing.assert_close(basis[1, 1], basis[0, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_a_picture_of_one_colour_is_answered_alike_in_all_poses(size: int) -> None:
    sums = filter_basis(Group.named("c8"), size).sum(dim=(-2, -1))
    torch.testing.assert_close(sums, sums[:1].expand_as(sums), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [3, 5])
def test_the_error_at_45_degrees_falls_with_the_smoothness_of_the_picture(size: int) -> None:
    noise = torch.randn(1, 1, 65, 65, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    group = Group.named("c8")
    image, fields = Fields(group, 1), Fields(group, 4, "regular")
    layer = torch.nn.Sequential(GroupConv(image, fields, size), GroupPool(fields)).eval()
    inside = (..., slice(20, 45), slice(20, 45))
    errors = []
    for sigma in (1.0, 1.5, 2.5):
        picture = _gaussian(noise, sigma)
        with torch.no_grad():
            first, last = layer(_turn(picture)), _turn(layer(picture))
        errors.append(float((first - last)[inside].square().sum() / last[inside].var()) / 625)
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 2e-3


def test_other_angles_are_approximate_and_the_smaller_group_is_worse() -> None:
    """Turns by 45 degrees of a smooth picture: C8 comes close, C4 does not."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 65, 65, generator=generator)
    picture = _gaussian(noise, 2.5)
    errors = {}
    for name in ("c4", "c8"):
        torch.manual_seed(0)
        group = Group.named(name)
        image, fields = Fields(group, 1), Fields(group, 4, "regular")
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
    layer = GroupConv(Fields(group, 3), Fields(group, 2, "regular"))
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
    make = lambda: GroupConv(Fields(group, 3), Fields(group, 2, "regular"))  # noqa: E731
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
    block = FieldResidual(Fields(group, 3), Fields(group, 2, "regular"), "circular")
    for _ in range(3):
        block(torch.randn(4, 3, 9, 9))
    folded = fold_batch_norm(block)
    kinds = {type(module) for module in folded.modules()}
    assert GroupConv not in kinds
    assert torch.nn.BatchNorm2d not in kinds
    images = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(folded(images), block.eval()(images), rtol=1e-4, atol=1e-5)


def test_what_makes_no_sense_is_refused() -> None:
    c4, d4 = Fields(Group.named("c4"), 1, "regular"), Fields(Group.named("d4"), 1, "regular")
    vectors = Fields(Group.named("c4"), 1, "vector")
    with pytest.raises(UsageError, match="one group"):
        GroupConv(c4, d4)
    for make in (
        lambda: GroupConv(c4, vectors),
        lambda: FieldReLU(vectors),
        lambda: FieldNorm(vectors),
    ):
        with pytest.raises(UsageError, match="not vector fields"):
            make()
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
