"""`vos models` lists what --model can be."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from vos.backbones import families, shipped_checkpoints
from vos.cli.app import app


def test_json_names_everything_that_loads_by_name() -> None:
    result = CliRunner().invoke(app, ["models", "--json"])
    assert result.exit_code == 0
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    plain = {name for name, member in families().items() if not member.prefix}
    assert plain | set(shipped_checkpoints()) <= set(rows)
    resnet = rows["resnet18"]
    assert (resnet["stride"], resnet["channels"], resnet["parameters"]) == (8, 256, 2_782_784)
    assert resnet["megabytes"] == 11.1
    assert "translation" in resnet["equivariance"]
    assert rows["rotation-unet-d4"]["equivariance"] == "rotation and reflection D4 (exact)"
    # 480p at stride 8, by hand: the 7 x 7 stem, then 3 x 3 and 1 x 1 convolutions.
    stem, four, eight = 240 * 427 * 147 * 64, 120 * 214 * 9, 60 * 107
    expected = stem + four * 4 * 64 * 64
    expected += eight * (9 * (64 * 128 + 3 * 128 * 128) + 64 * 128)
    expected += eight * (9 * (128 * 256 + 3 * 256 * 256) + 128 * 256)
    assert resnet["gmac"] == round(expected / 1e9, 1)
    assert rows["timm:MODEL"]["kind"] == "publisher"


def test_table_has_a_line_a_model() -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["name", "stride", "channels"]
    assert any(line.startswith("unet-taller-128 ") for line in lines)
