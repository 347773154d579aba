"""A worker computes with the weights of the driver or not at all."""

import pytest

from vos.backbones import load, weights_digest
from vos.errors import VosError
from vos.pipeline.remote import ModelChoice


def test_other_weights_of_the_same_name_are_refused() -> None:
    choice = ModelChoice.of("lab", load("lab"))
    assert weights_digest(choice.load()) == choice.digest
    with pytest.raises(VosError, match="lab has other weights here"):
        ModelChoice("lab", 0, "0" * 64).load()
