"""A chosen model is the same weights wherever it is loaded, or it is refused."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import vos
from vos.backbones import save_checkpoint, weights_digest
from vos.errors import UsageError, VosError
from vos.runs.model import Model, weights_inputs
from vos.settings import DEFAULT_MODEL

SPEC = "resnet18,layer=2"


def sent(model: Model) -> Model:
    """As another process gets it."""
    return pickle.loads(pickle.dumps(model))


def test_another_process_loads_the_same_weights() -> None:
    chosen = Model.choose(SPEC, seed=3)
    assert chosen.load() is chosen.load()  # what is here is not loaded twice
    again = sent(chosen)
    assert again == chosen
    assert again._loaded is None
    assert weights_digest(again.load()) == chosen.digest
    frames = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8).numpy()
    ours, theirs = chosen.extractor("cpu")(frames), again.extractor("cpu")(frames)
    assert torch.equal(ours, theirs)


def test_other_weights_of_the_same_name_are_refused() -> None:
    chosen = sent(Model.choose(SPEC, seed=0))
    with pytest.raises(VosError, match="other weights here"):
        replace(chosen, seed=1).load()


def test_a_folder_is_found_from_another_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "run" / "weights", vos.load(SPEC))
    monkeypatch.chdir(tmp_path)
    chosen = Model.choose("run/weights")
    assert chosen.settings()["model"] == "run/weights"
    assert [each.path for each in weights_inputs("run/weights,layer=2")] == [Path("run/weights")]
    monkeypatch.chdir("/")
    assert weights_digest(sent(chosen).load()) == chosen.digest


def test_a_network_stands_for_itself_here_and_elsewhere() -> None:
    backbone = vos.load(SPEC, seed=5)
    chosen = Model.choose(backbone)
    assert chosen.load() is backbone
    assert (chosen.spec, chosen.digest) == (type(backbone).__name__, weights_digest(backbone))
    assert weights_digest(sent(chosen).load()) == chosen.digest
    with pytest.raises(UsageError, match="the network cannot be run on an image"):
        Model.choose(torch.nn.Linear(3, 3))  # type: ignore[arg-type]


def test_what_auto_becomes_depends_on_the_device() -> None:
    """Without that a run that goes on elsewhere would mix 8 bits and float32."""
    chosen = Model.choose(DEFAULT_MODEL, precision="auto")
    on = {device: chosen.resolved(device) for device in ("cpu", "cuda:0")}
    assert {device: model.settings()["precision"] for device, model in on.items()} == {
        "cpu": "int8",
        "cuda:0": "float32",
    }
    assert on["cpu"].extractor("cpu").precision == "int8"
    assert Model.choose(SPEC, precision="auto").resolved("cpu").precision == "float32"
    assert replace(chosen, precision="bfloat16").resolved("cpu").precision == "bfloat16"
    with pytest.raises(UsageError, match="precision int8 is for the CPU"):
        replace(chosen, precision="int8").resolved("cuda")


def test_an_unknown_precision_is_told_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError, match="unknown precision"):
        Model.choose(SPEC, precision="half")
