"""The Python of the pages for newcomers runs as it stands, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vos
from vos.backbones import registry
from vos.media.video_writer import VideoWriter

ROOT = Path(__file__).parents[2]


def snippets(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; families that a page registers are known during the test only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_FAMILIES", vos.backbones.families())
    return tmp_path


def test_the_page_about_your_network_runs(folder: Path, capsys: pytest.CaptureFixture) -> None:
    names: dict[str, object] = {}
    for snippet in snippets("docs/your-network.md"):
        exec(compile(snippet, "docs/your-network.md", "exec"), names)
    assert 0 < float(capsys.readouterr().out) < 1
    assert (folder / "looks" / "mine" / "report.html").is_file()
    assert "mine" in vos.backbones.families()


def test_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cheapest model and 41 small frames of noise, which is what its calls need."""
    small = vos.preset("dino").with_settings({"short_side": 32, "multiple": 8})
    for call in (vos.propagate, vos.Session.__init__):
        monkeypatch.setitem(call.__kwdefaults__, "model", "lab")
        monkeypatch.setitem(call.__kwdefaults__, "preset", small)
    frames = np.random.default_rng(0).integers(0, 255, (41, 32, 48, 3), np.uint8)
    with VideoWriter(Path("clip.mp4"), fps=24, size=(32, 48)) as video:
        for frame in frames:
            video.write(frame)
    mask = np.zeros((32, 48), np.uint8)
    mask[8:20, 8:20] = 1
    names: dict[str, Any] = {
        "first_mask": mask,
        "corrected": mask,
        "images": torch.rand(2, 3, 64, 96),
        "features_0": torch.rand(16, 4, 6),
        "features_1": torch.rand(16, 4, 6),
    }
    for snippet in snippets("README.md"):
        exec(compile(snippet, "README.md", "exec"), names)
    assert names["mask"].shape == (480, 854)
    assert names["features"].shape == (2, 396, 8, 12)
