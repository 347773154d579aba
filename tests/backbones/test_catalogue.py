"""`vos models` tells what a fresh count tells, without counting."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from vos.backbones import build, catalogue, family, registry
from vos.backbones.base import Backbone
from vos.backbones.catalogue import list_models, measured_specs
from vos.files import read_json


def test_the_table_is_what_is_counted_now() -> None:
    counted = {spec: asdict(found) for spec, found in measured_specs().items()}
    assert read_json(catalogue.TABLE) == counted, "run tools/count_models.py"


def test_nothing_shipped_is_counted_when_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "count", lambda *_: pytest.fail("counted"))
    rows = {row.name: row for row in list_models()}
    assert rows["icon-resnet18"].kind == "checkpoint"
    assert rows["lab"].parameters == 0


def test_a_family_of_ones_own_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))

    @family("my-resnet", "my own")
    def mine() -> Backbone:
        return build("resnet18", stride=4)

    (row,) = (row for row in list_models() if row.name == "my-resnet")
    assert (row.stride, row.parameters, row.description) == (4, 2_782_784, "my own")
    assert row.gmac is not None and row.gmac > 50
