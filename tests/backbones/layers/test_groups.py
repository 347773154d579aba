"""Groups of turns: their tables agree with what they do to pictures."""

from __future__ import annotations

import pytest
import torch

from vos.backbones.layers.groups import Group
from vos.errors import UsageError


@pytest.mark.parametrize("name", ["c1", "c2", "c4", "c8", "d4"])
def test_products_and_inverses_are_those_of_the_matrices(name: str) -> None:
    group = Group.named(name)
    matrices = torch.tensor([group.matrix(element) for element in range(group.order)])
    for first in range(group.order):
        product = matrices[first] @ matrices[group.inverse(first)]
        torch.testing.assert_close(product, torch.eye(2))
        for second in range(group.order):
            expected = matrices[first] @ matrices[second]
            torch.testing.assert_close(matrices[group.product(first, second)], expected)


def test_acting_one_after_the_other_is_acting_by_the_product() -> None:
    group = Group.named("d4")
    maps = torch.rand(2, 3, 4)
    for first in range(group.order):
        for second in range(group.order):
            twice = group.act_on_grid(group.act_on_grid(maps, second), first)
            assert torch.equal(twice, group.act_on_grid(maps, group.product(first, second)))


def test_pixels_move_as_the_matrix_says() -> None:
    group = Group.named("d4")
    for element in range(group.order):
        for place in [(2, 1), (0, -2), (1, 1)]:  # x to the right, y upwards
            maps = torch.zeros(5, 5)
            maps[2 - place[1], 2 + place[0]] = 1
            row, column = divmod(int(group.act_on_grid(maps, element).argmax()), 5)
            x, y = torch.tensor(group.matrix(element)) @ torch.tensor(place, dtype=torch.float)
            assert (column - 2, 2 - row) == (round(float(x)), round(float(y)))


def test_what_is_no_group_or_takes_no_pixel_to_a_pixel_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown group 'c5'"):
        Group.named("c5")
    with pytest.raises(UsageError, match="does not take pixels to pixels"):
        Group.named("c8").act_on_grid(torch.zeros(3, 3), 1)
