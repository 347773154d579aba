"""Backbones in other runtimes give the features of torch."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

import vos
from vos.backbones.runtime import onnx_available
from vos.errors import MissingError, UsageError
from vos.export.portable import export_backbone, parse_size

needs_onnx = pytest.mark.skipif(
    not onnx_available(), reason="the extra onnx is not installed: pip install '.[onnx]'"
)


@pytest.mark.parametrize("spec", ["icon-resnet18", "lab"])
def test_torch_export_gives_the_same_features(spec: str, tmp_path: Path) -> None:
    backbone = vos.load(spec)
    record = export_backbone(backbone, tmp_path / "net.pt2", (61, 83), spec=spec)
    assert record["difference"] < 1e-4
    extra = {"vos.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    assert json.loads(extra["vos.json"])["weights_sha256"] == record["weights_sha256"]
    for batch in (1, 3):
        images = torch.rand(batch, 3, 61, 83)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(images), backbone(images))


@needs_onnx
def test_onnx_gives_the_same_features(tmp_path: Path) -> None:
    import onnxruntime

    backbone = vos.load("icon-resnet18")
    record = export_backbone(backbone, tmp_path / "net.onnx", (61, 83), spec="icon-resnet18")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    assert os.fsencode(Path(vos.__file__).parent) not in (tmp_path / "net.onnx").read_bytes()
    known = session.get_modelmeta().custom_metadata_map
    assert known["model"] == "icon-resnet18"
    assert known["weights_sha256"] == record["weights_sha256"]
    assert (known["stride"], known["channels"]) == ("8", str(backbone.channels))
    for batch in (1, 3):
        images = torch.rand(batch, 3, 61, 83)
        (features,) = session.run(None, {"images": images.numpy()})
        with torch.no_grad():
            expected = backbone(images)
        assert features.shape == expected.shape == (batch, backbone.channels, 8, 11)
        largest = expected.abs().max()
        assert (torch.from_numpy(features) - expected).abs().max() <= 1e-4 * largest


def test_sizes_are_width_by_height() -> None:
    assert parse_size("854x480") == (480, 854)
    for text in ("854", "0x4", "ax4", "4x-4", "99999x4"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            parse_size(text)


def test_bad_places_and_missing_extra_are_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from vos.cli.app import app

    result = CliRunner().invoke(app, ["export-model", "lab", "--out", str(tmp_path / "net.h5")])
    assert isinstance(result.exception, UsageError)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr("vos.backbones.runtime.importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["export-model", "lab", "--out", str(tmp_path / "net.onnx")])
    assert isinstance(result.exception, MissingError)
    assert "pip install 'vos-propagation[onnx]'" in str(result.exception)
