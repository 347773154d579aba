"""The Python of the pages for newcomers runs as it stands, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vos
from vos.backbones import registry, views
from vos.media.video_writer import VideoWriter

ROOT = Path(__file__).parents[2]


def snippets(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def run(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run the Python of a page, with ``names`` of what it says that the reader has."""
    for snippet in snippets(page):
        exec(compile(snippet, page, "exec"), names)
    return names


def film(frames: int, height: int, width: int) -> None:
    """Write a video of noise where the pages have theirs."""
    noise = np.random.default_rng(0).integers(0, 255, (frames, height, width, 3), np.uint8)
    with VideoWriter(Path("clip.mp4"), fps=24, size=(height, width)) as video:
        for frame in noise:
            video.write(frame)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; families that a page registers are known during the test only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_FAMILIES", vos.backbones.families())
    return tmp_path


def test_the_page_about_your_network_runs(folder: Path, capsys: pytest.CaptureFixture) -> None:
    run("docs/your-network.md", {})
    assert 0 < float(capsys.readouterr().out) < 1
    assert (folder / "looks" / "mine" / "report.html").is_file()
    assert "mine" in vos.backbones.families()


def test_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cheapest model and 41 small frames of noise, which is what its calls need."""
    small = vos.preset("dino").with_settings({"short_side": 32, "multiple": 8})
    for call in (vos.propagate, vos.Session.__init__):
        monkeypatch.setitem(call.__kwdefaults__, "model", "lab")
        monkeypatch.setitem(call.__kwdefaults__, "preset", small)
    film(frames=41, height=32, width=48)
    mask = np.zeros((32, 48), np.uint8)
    mask[8:20, 8:20] = 1
    names: dict[str, Any] = {
        "first_mask": mask,
        "corrected": mask,
        "images": torch.rand(2, 3, 64, 96),
        "features_0": torch.rand(16, 4, 6),
        "features_1": torch.rand(16, 4, 6),
    }
    run("README.md", names)
    assert names["mask"].shape == (480, 854)
    assert names["features"].shape == (2, 396, 8, 12)


def test_the_page_about_features_runs(folder: Path) -> None:
    film(frames=21, height=128, width=208)
    vos.export_features("clip.mp4", "clip.zarr", model="lab")
    names = run("docs/features.md", {"points": [(3.0, 5.0)], "tokens": [(0.5, 0.5)]})
    assert names["features"].shape[0] == 21


def test_the_page_about_propagation_runs(folder: Path) -> None:
    mask = np.zeros((480, 854), np.uint8)
    mask[100:300, 200:500] = 1
    features = {f"features_{index}": torch.rand(8, 15, 27) for index in (0, 1, 40)}
    flow = np.zeros((480, 854, 2), np.float32)
    names = {**features, "first_mask": mask, "corrected": mask, "flow": flow}
    assert run("docs/propagation.md", names)["mask"].shape == (480, 854)


def test_the_page_about_contrastive_coding_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_VIEWS", dict(views._VIEWS))
    run("docs/contrastive.md", {})
    assert vos.load("cmc-resnet18,views=red+blur")(torch.rand(1, 3, 64, 64)).shape[0] == 1
