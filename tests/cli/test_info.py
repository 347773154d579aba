"""`vos info` says what a bug report needs."""

from __future__ import annotations

import json

import vos


def test_json_holds_versions_hardware_and_weights(vos_command) -> None:
    ended = vos_command("info", "--json")
    record = json.loads(ended.out)
    assert ended.code == 0
    assert record["vos"] == vos.__version__
    assert {"python", "torch", "numpy", "av"} <= set(record["versions"])
    assert record["machine"]["cores"] >= 1
    assert "icon-resnet18" in record["weights"]["names"]
    assert set(record["extras"].values()) <= {True, False}


def test_text_has_a_line_a_fact(vos_command) -> None:
    lines = vos_command("info").out.splitlines()
    assert lines[0].split() == ["vos", vos.__version__]
    assert any(line.split()[0] == "torch" for line in lines)
    assert any("installed" in line for line in lines)
