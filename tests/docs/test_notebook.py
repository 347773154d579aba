"""The notebook runs from top to bottom, and tells what its stored outputs tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "examples" / "from_a_video.ipynb"


def cells() -> list[dict[str, Any]]:
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_every_cell_runs(capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {}
    for cell in cells():
        exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
        stored = "".join("".join(output["text"]) for output in cell["outputs"] if "text" in output)
        told = capsys.readouterr().out
        assert told.split()[:2] == stored.split()[:2]
        pictures = sum("image/jpeg" in output.get("data", {}) for output in cell["outputs"])
        assert len(plt.get_fignums()) == pictures
        plt.close("all")
    assert len(names["masks"]) == 10
    assert names["scores"][1:-1].mean() > 0.5
    assert names["features"].shape[1:] == (26, 45)
