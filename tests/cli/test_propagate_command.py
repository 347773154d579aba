"""`vos propagate`: masks, overlay and run lengths of a video, small and real."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import vos
from vos.datasets import open_dataset
from vos.media import (
    VideoWriter,
    open_video,
    read_palette_mask,
    read_rle,
    write_mask,
)

CHEAP = ("--model", "lab,stride=4", "--set", "radius=6", "--device", "cpu")


@pytest.fixture
def vos_propagate(vos_command, clip: Path, tmp_path: Path):
    """`vos propagate` on the small clip, into ``out``."""

    def run(*more: object, video: Path = clip, masks: tuple[object, ...] | None = None):
        given = (tmp_path / "masks" / "0.png",) if masks is None else masks
        options = [part for mask in given for part in ("--mask", mask)]
        return vos_command("propagate", video, *options, "--out", tmp_path / "out", *CHEAP, *more)

    return run


def test_json_is_alone_on_standard_output(vos_propagate, tmp_path: Path) -> None:
    ended = vos_propagate("--json")
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert (record["frames"], record["ids"], record["precision"]) == (6, [2, 7], "float32")
    assert set(record["seconds"]) == {"features", "propagation", "total"}
    assert record["out"] == str(tmp_path / "out")
    assert ended.err.splitlines() == [f"device: {record['device']}"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 6


def test_text_says_what_was_made(vos_propagate, tmp_path: Path) -> None:
    ended = vos_propagate("-q")
    assert ended.err == ""
    made, unsure = ended.out.splitlines()
    assert made.startswith("6 frames of objects 2, 7 in ")
    assert made.endswith(str(tmp_path / "out"))
    assert re.fullmatch(r"least sure: object [27] on frame [0-5] \(\d+ %\)", unsure)


def test_confidence_by_frame_and_object(vos_propagate, tmp_path: Path) -> None:
    ended = vos_propagate("--json", "--rle", tmp_path / "masks.json")
    assert ended.code == 0, ended.err
    found = json.loads((tmp_path / "out" / "confidence.json").read_text())
    assert list(found) == list("012345")
    assert found["0"] == {"2": 1.0, "7": 1.0}  # given, not found
    assert all(0 <= value <= 1 for objects in found.values() for value in objects.values())
    lowest = {id: min((found[name][id], name) for name in found) for id in ("2", "7")}
    assert json.loads(ended.out)["confidence"] == {
        id: {"lowest": value, "frame": name} for id, (value, name) in lowest.items()
    }
    rle = json.loads((tmp_path / "masks.json").read_text())
    assert rle["annotations"]
    for entry in rle["annotations"]:
        name = str(entry["image_id"] - 1)
        assert entry["score"] == found[name][str(entry["category_id"])]
    again = vos_propagate("--json")  # from the finished masks
    assert json.loads(again.out)["confidence"] == json.loads(ended.out)["confidence"]


def test_masks_of_several_frames(vos_propagate, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    ended = vos_propagate("--json", masks=(f"2:{masks / '2.png'}", f"4:{masks / '4.png'}"))
    assert ended.code == 0
    written = [read_palette_mask(path) for path in sorted((tmp_path / "out").glob("*.png"))]
    assert len(written) == 6
    for index in (2, 4):
        given = read_palette_mask(masks / f"{index}.png")
        np.testing.assert_array_equal(written[index], given)


def test_the_same_marks_give_the_same_masks_in_python_and_in_a_session(
    vos_propagate, clip: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    config = vos.preset("default").with_settings({"radius": "6"})
    how = {"model": "lab,stride=4", "preset": config, "device": "cpu"}
    for chosen in ((1, 4), (0, 3, 5)):
        marks = {}
        for index in chosen:
            mask = read_palette_mask(tmp_path / "masks" / f"{index}.png")
            keep = [(2, 7), (2,), (7,)][rng.integers(3)]
            marks[index] = np.where(np.isin(mask, keep), mask, 0).astype(np.uint8)
            write_mask(tmp_path / f"{index}.png", marks[index])
        ended = vos_propagate(
            "--overwrite", masks=tuple(f"{index}:{tmp_path / f'{index}.png'}" for index in marks)
        )
        assert ended.code == 0, ended.err
        written = [read_palette_mask(path) for path in sorted((tmp_path / "out").glob("*.png"))]
        streamed = {frame.index: frame.mask for frame in vos.propagate(clip, marks, **how)}
        with vos.Session(clip, **how) as session:
            for index, mask in marks.items():
                session.annotate(index, mask)
            walked = {frame.index: frame.mask for frame in session.propagate()}
        assert len(written) == len(streamed) == len(walked) == 6
        for index, mask in enumerate(written):
            np.testing.assert_array_equal(streamed[index], mask)
            np.testing.assert_array_equal(walked[index], mask)


def test_dry_run_writes_nothing(vos_propagate, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    plan = json.loads(vos_propagate("--dry-run", "--json").out)
    assert (plan["frames"], plan["size"], plan["annotated"]) == (6, [64, 96], [0])
    assert vos_propagate("--dry-run").code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_finished_run_is_used_again_and_another_one_refused(vos_propagate, tmp_path) -> None:
    assert json.loads(vos_propagate("--json").out)["fps"] > 0
    again = vos_propagate("--json", "--rle", tmp_path / "masks.json")
    assert json.loads(again.out)["fps"] == 0
    assert sum(1 for _ in read_rle(tmp_path / "masks.json")) == 6
    refused = vos_propagate("--set", "radius=5")
    assert refused.code == 2
    assert "radius: 6.0, now 5.0" in refused.complaint
    assert vos_propagate("--set", "radius=5", "--overwrite").code == 0


def test_a_real_film_gives_masks_overlay_and_run_lengths_that_agree(
    data_root: Path, vos_command, tmp_path: Path
) -> None:
    """Eight frames of a development sequence as H.264, at a third of their size."""
    sequence = open_dataset("davis", root=data_root / "davis-2016-dev", year=2016, split="train")
    first = sequence.sequences[0]
    step = 3
    height, width = (side // step // 2 * 2 for side in first.size)
    film = tmp_path / "le film.mp4"
    with VideoWriter(film, fps=24, size=(height, width)) as writer:
        for index in range(8):
            writer.write(first.frame(index)[: height * step : step, : width * step : step])
    write_mask(tmp_path / "m.png", first.mask(0)[: height * step : step, : width * step : step])
    out, shown, runs = tmp_path / "out", tmp_path / "shown.mp4", tmp_path / "runs.json"
    ended = vos_command(
        "propagate", film, "--mask", tmp_path / "m.png", "--out", out, "--model", "lab",
        "--overlay", shown, "--rle", runs, "--device", "cpu", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["frames"] == 8

    masks = [read_palette_mask(out / f"{index:05d}.png") for index in range(8)]
    assert all(mask.shape == (height, width) and mask.any() for mask in masks)
    for mask, decoded in zip(masks, read_rle(runs), strict=True):
        np.testing.assert_array_equal(mask, decoded)
    for mask, picture, frame in zip(masks, open_video(shown), open_video(film), strict=True):
        change = np.abs(picture.astype(int) - frame).mean(2)
        assert change[mask > 0].mean() > 5 * change[mask == 0].mean()
