"""Checkpoint folders: what is saved comes back; nothing else is believed, or executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

import vos
from vos.backbones import (
    Backbone,
    load_checkpoint,
    save_checkpoint,
    shipped_checkpoints,
    weights_digest,
)
from vos.backbones.digest import METADATA, weights_file_digest
from vos.backbones.families.resnet import resnet18
from vos.errors import MissingError, UsageError, VosError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "my net", vos.load("resnet18,layer=2,head=8", seed=1))


@pytest.mark.parametrize(
    "spec",
    [
        "lab,stride=4",
        "resnet18,head=8,output=head",
        "unet-short-64,center=true,stride=4",
        "timm:vit_tiny_patch16_224,pretrained=false",
        "torchvision:mobilenet_v2,pretrained=false",
    ],
)
def test_round_trip(spec: str, tmp_path: Path, lived_in: Callable[[str], Backbone]) -> None:
    backbone = lived_in(spec)
    again = vos.load(save_checkpoint(tmp_path / "net, with comma", backbone))
    images = torch.rand(1, 3, 40, 56)
    with torch.inference_mode():
        torch.testing.assert_close(again(images), backbone(images), rtol=0, atol=0)
    assert (again.stride, again.channels) == (backbone.stride, backbone.channels)
    assert again.recipe == backbone.recipe


def test_saved_weights_are_never_fetched_again(tmp_path: Path) -> None:
    backbone = vos.load("torchvision:resnet18,pretrained=false")
    assert backbone.recipe is not None
    backbone.recipe.options["pretrained"] = True  # as if they had been downloaded
    save_checkpoint(tmp_path, backbone)
    assert json.loads((tmp_path / "config.json").read_text())["options"]["pretrained"] is False
    assert backbone.recipe.options["pretrained"] is True


def test_card_holds_what_was_given_and_the_hash(tmp_path: Path) -> None:
    rows = {"Data": "441 clips", "J&F": 61.5}
    save_checkpoint(tmp_path, vos.load("resnet18"), card=rows)
    card = (tmp_path / "README.md").read_text()
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert digest in card
    assert "| Data | 441 clips |" in card
    head = card.split("---\n")[1]  # what a hub of models reads
    assert "library_name: vos-propagation\n" in head and "license: other\n" in head
    assert str(tmp_path) not in card and "`vos.load(PATH)`" in card
    assert json.loads((tmp_path / "config.json").read_text())["sha256"] == digest


def test_options_override_the_saved_ones(folder: Path) -> None:
    assert vos.load(folder).channels == 128
    assert vos.load(f"{folder},output=head").channels == 8
    assert load_checkpoint(folder, layer=1, stride=4, head=0).channels == 64
    with pytest.raises(VosError, match="lacks tensor"):
        load_checkpoint(folder, layer=3)


def test_saving_again_replaces(folder: Path) -> None:
    save_checkpoint(folder, vos.load("lab"))
    assert vos.load(folder).recipe.family == "lab"  # type: ignore[union-attr]
    assert sorted(item.name for item in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_damaged_weights_are_one_line(folder: Path) -> None:
    weights = folder / "model.safetensors"
    payload = bytearray(weights.read_bytes())
    payload[-5] ^= 1
    weights.write_bytes(bytes(payload))
    with pytest.raises(VosError, match=r"model\.safetensors is damaged: its SHA-256"):
        vos.load(folder)


@pytest.mark.parametrize("keep", [0, 7, 1000])
def test_truncated_weights_without_a_hash_are_one_line(folder: Path, keep: int) -> None:
    _drop_hash(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(VosError, match="is no safetensors file") as caught:
        vos.load(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    _drop_hash(folder)
    witness = tmp_path / "ran"
    torch.save(_Bomb(witness), folder / "model.safetensors")
    with pytest.raises(VosError, match="is no safetensors file"):
        vos.load(folder)
    assert not witness.exists()


class _Bomb:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises((MissingError, UsageError), match=name):
        vos.load(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "names no backbone family"),
        ('{"format": 1, "family": "resnet20"}', "did you mean resnet"),
        ('{"format": 9, "family": "resnet18"}', "has format 9"),
        ('{"format": 1, "family": "resnet18", "options": 3}', "options must be a mapping"),
        ('{"format": 1, "family": "resnet18", "options": {"depth": 3}}', "no option 'depth'"),
        ('{"format": 1, "family": "timm", "options": {}}', "timm:MODEL"),
        ('{"format": 1, "family": "resnet50"}', "tensor"),
    ],
)
def test_a_wrong_configuration_is_one_line(folder: Path, content: str, words: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(VosError) as caught:
        vos.load(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_backbone_without_a_name_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"vos\.load"):
        save_checkpoint(tmp_path, resnet18())


@pytest.mark.parametrize("name", sorted(shipped_checkpoints()))
def test_shipped_checkpoints_load_by_name_and_their_cards_tell_the_hash(name: str) -> None:
    folder = shipped_checkpoints()[name]
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
    backbone = vos.load(name)
    assert backbone(torch.rand(1, 3, 16, 24)).shape[1] == backbone.channels


def _drop_hash(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["sha256"]
    (folder / "config.json").write_text(json.dumps(config))


def test_the_digest_of_a_network_is_that_of_its_file(folder: Path) -> None:
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert weights_digest(load_checkpoint(folder)) == digest


@pytest.mark.parametrize("more", [{}, {"complex": torch.ones(2, dtype=torch.complex64)}])
def test_the_digest_is_that_of_the_bytes_for_every_type_and_shape(more) -> None:
    types = [
        "bool",
        "uint8",
        "int8",
        "int16",
        "float16",
        "bfloat16",
        "int32",
        "float32",
        "float64",
        "int64",
    ]
    tensors = {
        f"{letter}.é{kind}": torch.arange(6).reshape(2, 3).to(getattr(torch, kind)).T
        for letter in "ba"
        for kind in types
    }
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 4), **more}
    saved = {name: tensor.contiguous() for name, tensor in tensors.items()}
    payload = safetensors.torch.save(saved, metadata=METADATA)
    assert weights_file_digest(tensors) == hashlib.sha256(payload).hexdigest()
