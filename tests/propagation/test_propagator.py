"""What a user of the propagator relies on: stable ids, annotations midway, bounded context."""

import dataclasses

import numpy as np
import pytest
import torch

from vos.errors import UsageError
from vos.propagation import Propagator, preset
from vos.propagation.classifier import ObjectClassifier

GRID = (12, 16)
SIZE = (96, 128)


@pytest.fixture
def scene():
    """Features that tell three vertical bands apart, and never change."""
    bands = torch.zeros(3, *GRID)
    bands[0, :, :5] = 1
    bands[1, :, 5:10] = 1
    bands[2, :, 10:] = 1
    return bands + 0.01 * torch.randn(3, *GRID, generator=torch.Generator().manual_seed(0))


def band(object_id, columns):
    mask = np.zeros(SIZE, np.uint8)
    mask[:, columns] = object_id
    return mask


def test_ids_stay_as_given(scene):
    propagator = Propagator(preset("crw"))
    mask = band(17, slice(0, 40)) + band(254, slice(80, 128))
    propagator.annotate(0, scene, mask)
    soft = propagator.step(1, scene)
    assert soft.ids == (17, 254)
    found = soft.mask(SIZE)
    assert set(np.unique(found)) == {0, 17, 254}
    assert (found == mask).mean() > 0.95


def test_an_object_can_be_added_midway(scene):
    propagator = Propagator(preset("crw"))
    first = band(3, slice(0, 40))
    propagator.annotate(0, scene, first)
    propagator.step(1, scene)
    propagator.annotate(1, scene, band(9, slice(80, 128)))
    found = propagator.step(2, scene).mask(SIZE)
    assert (found[:, :36] == 3).mean() > 0.95  # the new mask says nothing of object 3
    assert (found[:, 84:] == 9).mean() > 0.95


def test_a_correction_moves_an_object(scene):
    propagator = Propagator(preset("crw"))
    propagator.annotate(0, scene, band(1, slice(0, 40)))
    propagator.step(1, scene)
    wider = band(1, slice(0, 80))
    assert (propagator.annotate(1, scene, wider).mask(SIZE) == wider).mean() > 0.95
    assert (propagator.step(2, scene).mask(SIZE) == 1)[:, :36].mean() > 0.95


def test_labels_of_a_corrected_frame_sum_to_one(scene):
    propagator = Propagator(preset("crw"))
    propagator.annotate(0, scene, band(1, slice(0, 40)) + band(2, slice(80, 128)))
    propagator.step(1, scene)
    soft = propagator.annotate(1, scene, band(1, slice(20, 60)))  # what 1 had falls to background
    torch.testing.assert_close(soft.labels.sum(1), torch.ones(GRID[0] * GRID[1]))


def test_labels_are_sharpened_before_they_become_context():
    generator = torch.Generator().manual_seed(0)
    frames = [torch.randn(3, *GRID, generator=generator) for _ in range(3)]  # all votes are mixed
    found = []
    for sharpness in (1, 2):
        propagator = Propagator(dataclasses.replace(preset("crw"), sharpness=sharpness))
        propagator.annotate(0, frames[0], band(1, slice(0, 43)))
        found.append([propagator.step(t, frames[t]).labels for t in (1, 2)])
    (blurred, before), (sharp, after) = found
    powers = blurred**2 / (blurred**2).sum(1, keepdim=True)
    powers[powers < 0.01] = 0
    assert not torch.allclose(sharp, blurred, atol=0.05)
    torch.testing.assert_close(sharp, powers / powers.sum(1, keepdim=True))
    assert not torch.allclose(after, before, atol=0.05)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(1, 3, *GRID), "without a batch axis"),
        (torch.zeros(*GRID), r"\(C, h, w\), not torch.float32 \(12, 16\)"),
        (torch.zeros(5, *GRID), "one backbone: 5 channels after 3"),
        (torch.zeros(3, 6, 8), r"one size: \(6, 8\) after \(12, 16\)"),
        (torch.zeros(3, 0, 8), "real numbers"),
        ([[1.0]], "not list"),
        (None, "not NoneType"),
        (np.array(["a"]), "array of numbers"),
    ],
)
def test_features_that_cannot_be_meant_are_told_in_a_line(scene, features, message):
    propagator = Propagator(preset("crw"))
    propagator.annotate(0, scene, band(1, slice(0, 40)))
    with pytest.raises(UsageError, match=message):
        propagator.step(1, features)
    with pytest.raises(UsageError, match=r"a mask is an array \(H, W\) of ids, not \(96, 128, 3\)"):
        propagator.annotate(1, scene, np.zeros((*SIZE, 3), np.uint8))


def test_features_may_be_arrays(scene):
    found = []
    for features in (scene, scene.numpy().astype(np.float64)):
        propagator = Propagator(preset("crw"))
        propagator.annotate(0, features, band(1, slice(0, 40)))
        found.append(propagator.step(1, features).labels)
    torch.testing.assert_close(*found)


def test_an_object_can_be_declared_absent(scene):
    propagator = Propagator(preset("crw"))
    propagator.annotate(0, scene, band(1, slice(0, 40)))
    propagator.step(1, scene)
    soft = propagator.annotate(1, scene, np.zeros(SIZE, np.uint8), objects=[1])
    assert not soft.mask(SIZE).any()


def test_context_is_bounded(scene):
    propagator = Propagator(preset("dino"))
    propagator.annotate(0, scene, band(1, slice(0, 40)))
    for index in range(1, 30):
        propagator.step(index, scene)
    assert len(propagator._context) == 1 + 7


def test_void_is_background(scene):
    propagator = Propagator(preset("crw"))
    mask = band(1, slice(0, 40))
    mask[:, 80:] = 255
    assert propagator.annotate(0, scene, mask).ids == (1,)


def test_254_objects_are_followed_and_255_refused(scene):
    many = (1 + np.arange(SIZE[0] * SIZE[1]) * 254 // (SIZE[0] * SIZE[1])).reshape(SIZE)
    propagator = Propagator(preset("vfs"))
    propagator.annotate(0, scene, many.astype(np.uint8))
    assert len(propagator.step(1, scene).ids) == 254
    with pytest.raises(UsageError, match="at most 254"):
        propagator.annotate(1, scene, np.zeros(SIZE, np.uint8), objects=[300])


def test_propagating_before_annotating_is_refused(scene):
    with pytest.raises(UsageError, match="annotate a frame"):
        Propagator(preset("crw")).step(0, scene)


def test_features_of_another_size_are_refused(scene):
    propagator = Propagator(preset("crw"))
    propagator.annotate(0, scene, band(1, slice(0, 40)))
    with pytest.raises(UsageError, match="one size"):
        propagator.step(1, scene[:, :-1])


def test_objects_are_learnt_once_for_all_annotations_before_a_step(monkeypatch) -> None:
    fitted = []
    fit = ObjectClassifier.fit.__func__

    def counted(cls, *given):
        fitted.append(given)
        return fit(cls, *given)

    monkeypatch.setattr(ObjectClassifier, "fit", classmethod(counted))
    propagator = Propagator(preset("default"))
    mask = np.zeros((48, 64), np.uint8)
    mask[8:24, 16:40] = 1
    maps = torch.randn(4, 16, 6, 8, generator=torch.Generator().manual_seed(0))
    for index in range(3):
        propagator.annotate(index, maps[index], mask)
    assert not fitted
    propagator.step(3, maps[3])
    assert len(fitted) == 1
