"""What is uploaded to the hub is what `vos.load` reads; no network is used."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch

import vos
from vos.backbones import hub, push_to_hub
from vos.backbones.families.resnet import resnet18
from vos.errors import UsageError, VosError


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub on this disk: a folder per repository."""
    root = tmp_path / "hub"

    def upload(_: object, *, repo_id: str, folder_path: Path, **__: object) -> SimpleNamespace:
        shutil.copytree(folder_path, root / repo_id)
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: root / name)
    monkeypatch.setattr(hub, "reachable", lambda *_: True)
    return root


def test_a_backbone_comes_back_from_the_hub(stored: Path) -> None:
    backbone = vos.load("resnet18,stride=4,layer=2", seed=5)
    address = push_to_hub(backbone, "someone/net", card={"Licence": "CC0"})
    assert address == "https://hub/someone/net/commit/1"
    card = (stored / "someone/net/README.md").read_text()
    assert "| Licence | CC0 |" in card and card.startswith("---\n") and "license: cc0\n" in card
    images = torch.rand(1, 3, 33, 47)
    for spec in ("someone/net", "hf:someone/net"):
        again = vos.load(spec)
        assert again.recipe == backbone.recipe
        with torch.no_grad():
            torch.testing.assert_close(again(images), backbone(images), rtol=0, atol=0)


def test_what_cannot_be_uploaded_is_said(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        push_to_hub(vos.load("lab"), "net")
    with pytest.raises(UsageError, match=r"vos\.load"):
        push_to_hub(resnet18(), "someone/net")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(VosError, match="cannot upload to someone/net: no route to host"):
        push_to_hub(vos.load("lab"), "someone/net")
