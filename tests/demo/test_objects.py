"""Objects keep their ids, and can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from vos.demo.objects import ObjectList, lab, parse_colour
from vos.errors import UsageError


def test_254_objects_have_254_colours():
    objects = ObjectList()
    for _ in range(254):
        objects.add()
    assert [item.id for item in objects] == list(range(1, 255))
    assert len({item.colour for item in objects}) == 254
    with pytest.raises(UsageError, match="254"):
        objects.add()


def test_the_first_twelve_colours_are_told_apart_easily():
    objects = ObjectList()
    colours = lab([objects.add().colour for _ in range(12)])
    apart = np.linalg.norm(colours[:, None] - colours, axis=2)[np.triu_indices(12, 1)]
    assert apart.min() > 39, "as far as the nearest two of the first seven"


def test_a_removed_id_is_free_again_and_others_keep_theirs():
    objects = ObjectList()
    for _ in range(3):
        objects.add()
    objects.remove(2)
    assert [item.id for item in objects] == [1, 3]
    assert objects.add().id == 2


def test_changes_and_their_limits():
    objects = ObjectList()
    first, second = objects.add(), objects.add()
    objects.change(1, name="  the \n dog ", colour="rgba(255, 0, 128.4, 1)", visible=False)
    assert objects[1].name == "the dog"
    assert objects[1].colour == "#ff0080"
    mask = np.array([0, 1, 2], np.uint8)
    assert objects.without_hidden(mask).tolist() == [0, 0, 2]
    assert objects.palette()[1].tolist() == [255, 0, 128]
    objects.change(1, name="  ")
    assert objects[1].name == "Object 1"
    with pytest.raises(UsageError, match="colour"):
        objects.change(2, colour=objects[1].colour)
    assert objects[2] == second != first


@pytest.mark.parametrize("text", ["red", "#12", "rgb(1,2)", "url(evil)", "#12345g"])
def test_what_is_no_colour(text):
    with pytest.raises(UsageError, match="no colour"):
        parse_colour(text)
