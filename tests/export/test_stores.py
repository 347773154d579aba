"""What is written is what the backbone gives, in formats that other tools read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
import zarr

import vos
from vos.backbones import save_checkpoint
from vos.errors import MissingError, UsageError, VosError
from vos.export import zarr_store
from vos.export.job import ExportSettings, plan_export, run_export
from vos.media import VideoWriter, open_video
from vos.runs.folder import record_beside


def features_of(clip: Path, indices: list[int], model: str) -> np.ndarray:
    """(T, C, h, w) straight from the backbone."""
    video = open_video(clip)
    images = np.stack([video[index] for index in indices]).transpose(0, 3, 1, 2) / np.float32(255)
    with torch.inference_mode():
        return vos.load(model)(torch.from_numpy(images)).numpy()


def files_of(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def test_plain_zarr_reads_the_features_of_the_backbone(store: Path, clip: Path) -> None:
    group = zarr.open_group(store, mode="r")
    array = group["features"]
    expected = features_of(clip, list(range(9)), "resnet18,stride=4,layer=2")
    assert array.shape == expected.shape == (9, 128, 16, 21)
    assert array.dtype == np.float16
    assert array.metadata.zarr_format == 3
    assert array.chunks == (1, 128, 16, 21)
    assert array.metadata.dimension_names == ("time", "channel", "y", "x")
    np.testing.assert_allclose(array[:], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(group["frame_indices"][:], np.arange(9))
    np.testing.assert_allclose(group["times"][:], np.arange(9) / 24)


def test_attributes_tell_where_the_features_come_from(
    store: Path, clip: Path, tmp_path: Path
) -> None:
    saved = save_checkpoint(tmp_path, vos.load("resnet18,stride=4,layer=2"))
    weights = (saved / "model.safetensors").read_bytes()
    known = zarr.open_group(store, mode="r").attrs.asdict()
    assert known == {
        "format": "vos-features",
        "version": vos.__version__,
        "source": str(clip.resolve()),
        "size": [61, 83],
        "fps": 24.0,
        "every": 1,
        "model": "resnet18,stride=4,layer=2",
        "seed": 0,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "normalisation": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "input_size": [61, 83],
        "stride": 4,
        "token_centre": 0.0,
        "precision": "float16",
    }
    assert zarr.open_array(store / "features", mode="r").attrs.asdict() == known


def test_choices_every_layer_precision_resolution(export: Any, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.zarr"
    export(out, clip, every=4, model="resnet18", layer=2, precision="float32")
    array = zarr.open_group(out, mode="r")["features"]
    expected = features_of(clip, [0, 4, 8], "resnet18,layer=2")
    np.testing.assert_allclose(array[:], expected, rtol=1e-5, atol=1e-5)

    export(tmp_path / "large.zarr", clip, every=8, resolution=122)
    features = vos.open_features(tmp_path / "large.zarr")
    assert features.attributes["input_size"] == [122, 166]
    assert features.shape == (2, 128, 31, 42)
    np.testing.assert_array_equal(features.frame_indices, [0, 8])


@pytest.mark.parametrize("name", ["clip.npz", "clip.safetensors"])
def test_single_files_hold_the_same(
    name: str, export: Any, clip: Path, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / name
    assert export(out, clip)["computed"] == 9
    assert export(out, clip)["computed"] == 0
    if out.suffix == ".npz":
        arrays = dict(np.load(out, allow_pickle=False))
        known = json.loads(str(arrays.pop("attributes")))
    else:
        arrays = safetensors.numpy.load_file(out)
        with safetensors.safe_open(out, "np") as file:
            known = json.loads(file.metadata()["attributes"])
    expected = zarr.open_group(store, mode="r")
    assert known == expected.attrs.asdict()
    assert set(arrays) == {"features", "frame_indices", "times"}
    for key, values in arrays.items():
        np.testing.assert_array_equal(values, expected[key][:])
    with pytest.raises(UsageError, match=r"another every \(1, now 2\).*`overwrite=True`"):
        export(out, clip, every=2)
    assert export(out, clip, every=2, overwrite=True)["frames"] == 5


def test_several_videos_are_groups_of_one_store(export: Any, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    with VideoWriter(other, fps=25, size=(48, 64)) as writer:
        for level in range(0, 250, 50):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    out = tmp_path / "all.zarr"
    record = export(out, clip, other)
    assert record["computed"] == record["frames"] == 14
    assert sorted(zarr.open_group(out, mode="r").group_keys()) == ["moving clip", "other"]
    assert vos.open_features(out / "other").shape == (5, 128, 12, 16)
    assert vos.open_features(out / "other").attributes["fps"] == 25
    with pytest.raises(UsageError, match="several videos, open one of them"):
        vos.open_features(out)
    with pytest.raises(UsageError, match=r"another command \(export many, now export\)"):
        export(out, clip)
    with pytest.raises(UsageError, match="2 videos are named"):
        export(tmp_path / "twice.zarr", clip, clip)
    with pytest.raises(UsageError, match="one video"):
        export(tmp_path / "both.npz", clip, other)


def test_another_setting_is_refused_and_overwrite_starts_anew(
    export: Any, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clip.zarr"
    export(out, clip, every=4)
    with pytest.raises(UsageError, match=r"another every \(4, now 2\).*`overwrite=True`"):
        export(out, clip, every=2)
    assert export(out, clip, every=2, overwrite=True)["computed"] == 5
    assert len(vos.open_features(out)) == 5


def test_a_video_that_was_replaced_is_another_one(export: Any, clip: Path, tmp_path: Path) -> None:
    out, video = tmp_path / "clip.zarr", tmp_path / "video"
    shutil.copytree(clip, video)
    export(out, video)
    assert export(out, video)["computed"] == 0
    shutil.copy(video / "00007.png", video / "00002.png")
    with pytest.raises(UsageError, match="another video content"):
        export(out, video)


def test_overwrite_never_deletes_what_is_not_ours(export: Any, clip: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.zarr"
    zarr.create_array(theirs, shape=(3,), dtype="i4")[:] = 1
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"something else|is not of this run"):
            export(theirs, clip, overwrite=overwrite)
    assert zarr.open_array(theirs)[:].tolist() == [1, 1, 1]


def test_killed_export_goes_on_to_the_same_bytes(
    export: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame_bytes = 128 * 16 * 21 * 2
    monkeypatch.setattr(zarr_store, "SHARD_BYTES", 2 * frame_bytes)
    whole, killed = tmp_path / "whole.zarr", tmp_path / "killed.zarr"
    export(whole, clip)
    assert len(list((whole / "features" / "c").iterdir())) == 5

    # The same command, slowed down so that the kill comes in the middle of the third shard.
    program = (
        "import sys, time\n"
        "import vos.export.zarr_store as z\n"
        f"z.SHARD_BYTES = {2 * frame_bytes}\n"
        "from vos.export.stream import FeatureStream\n"
        "plain = FeatureStream._as_stored\n"
        "def slow(self, feature, number):\n"
        "    time.sleep(60 if number == 5 else 0)\n"
        "    return plain(self, feature, number)\n"
        "FeatureStream._as_stored = slow\n"
        "from vos.cli.app import main\n"
        f"sys.argv = ['vos', 'export', {str(clip)!r}, '--out', {str(killed)!r},\n"
        "    '--model', 'resnet18,stride=4,layer=2', '--device', 'cpu', '-q']\n"
        "main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    second_shard = killed / "features" / "c" / "1" / "0" / "0" / "0"
    deadline = time.monotonic() + 120
    while not second_shard.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    shards = sorted(path.name for path in (killed / "features" / "c").iterdir())
    assert shards == ["0", "1"]
    with pytest.raises(VosError, match="not finished, 5 of 9 frames are missing"):
        vos.open_features(killed)
    assert np.isnan(zarr.open_array(killed / "features", mode="r")[5:]).all()
    # What a process that dies while it writes a file leaves behind, beside the line that it would.
    third_shard = killed / "features" / "c" / "2" / "0" / "0" / "0"
    third_shard.parent.mkdir(parents=True)
    (third_shard.parent / "0.abc.partial").write_bytes(b"half")
    with record_beside(killed).open("a") as record:
        name = third_shard.relative_to(killed.parent)
        record.write(json.dumps({"file": str(name)}) + "\n")
    assert export(killed, clip)["computed"] == 5
    assert files_of(killed) == files_of(whole)


def test_video_that_breaks_midway_keeps_its_finished_shards(
    export: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_store, "SHARD_BYTES", 1)
    broken = tmp_path / "broken"
    shutil.copytree(clip, broken)
    out = tmp_path / "broken.zarr"
    settings = ExportSettings("resnet18,stride=4,layer=2")
    plan = plan_export([broken], out, settings, torch.device("cpu"))
    bad = broken / "00004.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:400])
    with pytest.raises(VosError, match="00004"):
        run_export(plan, out)
    assert len(list((out / "features" / "c").iterdir())) == 4
    bad.write_bytes(whole)
    with pytest.raises(UsageError, match="another video content"):
        export(out, broken)  # who knows which of its frames are others
    assert len(list((out / "features" / "c").iterdir())) == 4
    assert export(out, broken, overwrite=True)["computed"] == 9
    np.testing.assert_allclose(
        vos.open_features(out)[4],
        features_of(clip, [4], settings.model)[0],
        rtol=1e-3,
        atol=1e-3,
    )


def test_features_beyond_float16_are_refused(export: Any, clip: Path, tmp_path: Path) -> None:
    backbone = vos.load("resnet18,stride=4,layer=1")
    last = backbone.stages[0][-1].bn2
    torch.nn.init.constant_(last.bias, 1e6)
    save_checkpoint(tmp_path / "huge", backbone)
    with pytest.raises(VosError, match="`precision='float32'`"):
        export(tmp_path / "huge.zarr", clip, model=str(tmp_path / "huge"))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"every": 0}, "`every` takes 1 or more"),
        ({"precision": "int8"}, "`precision` takes float16 or float32"),
        ({"resolution": 0}, "`resolution` takes a short side"),
        ({"model": "resnet19"}, "resnet18"),
        ({"model": "lab", "layer": 2}, "lab has no layers"),
        ({"layer": 9}, "layers 1 to 4"),
    ],
)
def test_bad_choices_are_one_line(
    choices: dict[str, Any], words: str, export: Any, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        export(tmp_path / "x.zarr", clip, **choices)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "x.zarr").exists()


def test_bad_places_are_one_line(export: Any, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`out` takes"):
        export(tmp_path / "x.h5", clip)
    with pytest.raises(MissingError, match="there is no video"):
        export(tmp_path / "x.zarr", tmp_path / "nothing.mp4")
    (tmp_path / "file.zarr").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        export(tmp_path / "file.zarr", clip)


def test_missing_extra_says_what_to_install(
    export: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingError, match=r"pip install 'vos-propagation\[export\]'"):
        export(tmp_path / "x.zarr", clip)


def test_times_of_a_video_of_varying_rate_are_those_of_its_frames(
    export: Any, tmp_path: Path
) -> None:
    import av

    shown = [0, 40, 45, 160, 161, 400, 440, 1000]  # milliseconds
    path = tmp_path / "varying.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(shown):
            image = av.VideoFrame.from_ndarray(
                np.full((24, 32, 3), 30 * number, np.uint8), format="rgb24"
            )
            image.pts, image.time_base = time_ms, stream.codec_context.time_base
            output.mux(stream.encode(image))
        output.mux(stream.encode())
    export(tmp_path / "varying.zarr", path, model="lab", every=3)
    features = vos.open_features(tmp_path / "varying.zarr")
    np.testing.assert_array_equal(features.frame_indices, [0, 3, 6])
    np.testing.assert_allclose(features.times, [0, 0.160, 0.440], atol=1e-9)
