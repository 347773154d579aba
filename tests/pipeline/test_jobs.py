"""A video and mask files in; masks, overlay and run lengths out, and what is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vos
from vos.errors import UsageError, VosError
from vos.media import open_video, read_palette_mask, read_rle, write_mask
from vos.pipeline.jobs import parse_mask_options, propagate_to_files
from vos.segmentation import jobs


@pytest.fixture
def mask_file(tmp_path: Path, masks) -> Path:
    path = tmp_path / "first mask.png"
    write_mask(path, masks[0])
    return path


@pytest.fixture
def run(folder: Path, mask_file: Path, config, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def propagate(**how: Any) -> dict[str, Any]:
        arguments = {
            "video": folder,
            "mask_files": {0: mask_file},
            "out": tmp_path / "out",
            "model": "lab,stride=4",
            "config": config,
            "device": torch.device("cpu"),
            **how,
        }
        return propagate_to_files(**arguments)

    return propagate


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when anything would be segmented."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("segmented again")

    monkeypatch.setattr(jobs, "propagate", fail)


def read_all(out: Path) -> list[np.ndarray]:
    return [read_palette_mask(path) for path in sorted(out.glob("*.png"))]


def test_masks_overlay_and_run_lengths_agree(
    run, folder: Path, masks, extractor, config, tmp_path: Path
) -> None:
    record = run(overlay_file=tmp_path / "shown.mp4", rle_file=tmp_path / "masks.json")
    written = read_all(tmp_path / "out")
    assert record["frames"] == len(written) == 10
    assert record["ids"] == [2, 7]
    streamed = vos.propagate(folder, {0: masks[0]}, model=extractor, preset=config)
    for mask, frame in zip(written, streamed, strict=True):
        np.testing.assert_array_equal(mask, frame.mask)
    for mask, decoded in zip(written, read_rle(tmp_path / "masks.json"), strict=True):
        np.testing.assert_array_equal(mask, decoded)
    shown = list(open_video(tmp_path / "shown.mp4"))
    assert len(shown) == 10
    for mask, picture, frame in zip(written, shown, open_video(folder), strict=True):
        change = np.abs(picture.astype(int) - frame).mean(2)
        assert change[mask > 0].mean() > 3 * change[mask == 0].mean()


def test_an_overlay_can_be_had_later_without_segmenting_again(
    run, tmp_path: Path, no_work_later
) -> None:
    run()
    no_work_later()
    record = run(overlay_file=tmp_path / "shown.mp4")
    assert (tmp_path / "shown.mp4").stat().st_size > 0
    assert (record["frames"], record["fps"]) == (10, 0)


@pytest.fixture
def no_work_later(request: pytest.FixtureRequest) -> Callable[[], None]:
    return lambda: request.getfixturevalue("no_work")


def test_a_lost_mask_is_made_again(run, tmp_path: Path) -> None:
    run()
    before = read_all(tmp_path / "out")
    (tmp_path / "out" / "00004.png").unlink()
    run()
    for one, other in zip(read_all(tmp_path / "out"), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_lower_precision_leaves_the_masks_alone_and_is_another_run(
    run, overlap, tmp_path: Path
) -> None:
    plain = {"model": "small"}
    run(**plain)
    full = read_all(tmp_path / "out")
    with pytest.raises(UsageError, match=r"another precision \(float32"):
        run(**plain, precision="bfloat16")
    with pytest.raises(UsageError, match="unknown precision"):
        run(**plain, precision="half", overwrite=True)
    assert len(read_all(tmp_path / "out")) == 10  # nothing was lost
    run(**plain, precision="bfloat16", overwrite=True)
    for one, other in zip(full, read_all(tmp_path / "out"), strict=True):
        assert overlap(one, other, 2) > 0.9
        assert overlap(one, other, 7) > 0.9


class TestAnotherRunInTheFolder:
    """Is refused by the name of what differs, and replaced with --overwrite."""

    def check(self, run, tmp_path: Path, match: str, **changed: Any) -> None:
        with pytest.raises(UsageError, match=rf"another {match}.*--overwrite"):
            run(**changed)
        assert len(read_all(tmp_path / "out")) == 10
        assert run(overwrite=True, **changed)["fps"] > 0

    def test_model(self, run, tmp_path: Path) -> None:
        run()
        self.check(run, tmp_path, r"model \(lab,stride=4, now lab\)", model="lab")

    def test_weights_under_the_same_name(self, run, tmp_path: Path) -> None:
        run(model="resnet18,layer=2", seed=0)
        self.check(run, tmp_path, "weights", model="resnet18,layer=2", seed=1)

    def test_setting(self, run, config, tmp_path: Path) -> None:
        run()
        other = config.with_settings({"radius": "5"})
        self.check(run, tmp_path, r"config \(radius: 6, now 5.0\)", config=other)

    def test_mask(self, run, masks, tmp_path: Path) -> None:
        run()
        write_mask(tmp_path / "other.png", masks[1])
        self.check(run, tmp_path, "mask", mask_files={0: tmp_path / "other.png"})

    def test_video_of_the_same_name(self, run, folder: Path, frames, tmp_path: Path) -> None:
        run()
        from vos.media import write_image

        write_image(folder / "00009.png", frames[0])
        self.check(run, tmp_path, "video content")


@pytest.mark.parametrize("content", ["{", "[]", '{"frames": 3}', "\x00"])
def test_a_corrupt_record_says_what_to_do(run, tmp_path: Path, content: str) -> None:
    run()
    (tmp_path / "out" / "run.json").write_text(content)
    with pytest.raises(VosError, match=r"run\.json .*--overwrite"):
        run()
    assert run(overwrite=True)["frames"] == 10
    assert json.loads((tmp_path / "out" / "run.json").read_text())["frames"] == 10


def test_a_run_that_was_killed_is_started_anew(run, tmp_path: Path, masks) -> None:
    out = tmp_path / "out"
    for name in ("00000.png", "00001.png", "00123.png", ".00002.4711.png"):
        write_mask(out / name, masks[0])
    assert run()["frames"] == 10
    assert sorted(p.name for p in out.iterdir()) == [f"{i:05d}.png" for i in range(10)] + [
        "run.json"
    ]


def test_foreign_files_are_never_deleted(run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "mask_1.png").write_text("mine too")
    with pytest.raises(UsageError, match=r"holds other files \(mask_1\.png\)"):
        run()
    run(overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "mask_1.png").read_text() == "mine too"


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"model": "labb"}, "did you mean lab"),
        ({"overlay_file": Path("shown.gif")}, r"shown\.gif: --overlay takes"),
        ({"overlay_file": Path("/")}, "--overlay takes"),
        ({"rle_file": Path("/")}, "is a folder"),
    ],
)
def test_what_cannot_be_leaves_finished_masks_alone(
    run, tmp_path: Path, how: dict[str, Any], match: str
) -> None:
    run()
    with pytest.raises(UsageError, match=match):
        run(overwrite=True, **how)
    assert len(read_all(tmp_path / "out")) == 10


def test_run_lengths_over_the_record_are_refused(run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --rle another name"):
        run(rle_file=tmp_path / "out" / "run.json")


def test_masks_of_the_frames_before_a_failure_stay(run, folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    frames = sorted(folder.glob("*.png"))
    for path in frames:
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    broken = folder / "00006.jpg"
    broken.write_bytes(broken.read_bytes()[:900])
    with pytest.raises(VosError, match=r"00006\.jpg is truncated"):
        run()
    assert len(read_all(tmp_path / "out")) == 6
    assert not (tmp_path / "out" / "run.json").exists()


def test_mask_options() -> None:
    assert parse_mask_options(["a.png", "40:dir/b.png"]) == {
        0: Path("a.png"),
        40: Path("dir/b.png"),
    }
    assert parse_mask_options(["7:c:/d.png"]) == {7: Path("c:/d.png")}
    with pytest.raises(UsageError, match="two masks for frame 0"):
        parse_mask_options(["a.png", "0:b.png"])
    with pytest.raises(UsageError, match="no mask given"):
        parse_mask_options([])
