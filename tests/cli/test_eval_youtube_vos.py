"""`vos eval --dataset youtube-vos`: masks as the server takes them, scores where there is truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vos.media import read_palette_mask, write_mask

CHEAP = ("--model", "lab,stride=4", "--set", "radius=6", "--device", "cpu")


@pytest.fixture
def vos_eval(vos_command, tmp_path: Path):
    def run(root: Path, split: str, *more: object):
        out = tmp_path / split
        where = ("--dataset", "youtube-vos", "--root", root, "--split", split, "--out", out)
        return vos_command("eval", *where, *CHEAP, *more)

    return run


def ids(path: Path) -> list[int]:
    return np.unique(read_palette_mask(path)).tolist()


def test_without_truth_there_are_masks_for_the_server(
    vos_eval, write_youtube_vos: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_youtube_vos("valid")
    ended = vos_eval(root, "valid")
    assert ended.code == 0, ended.err
    masks = tmp_path / "valid" / "Annotations"
    assert f"masks: {masks}, as the official server takes them" in ended.out
    assert "J&F" not in ended.out
    stems = [f"{5 * index:05d}" for index in range(6)]
    for name in ("0a1b", "c2d3"):
        assert sorted(path.name for path in (masks / name).iterdir()) == [
            f"{stem}.png" for stem in stems
        ]
    # An object is there from its own first frame on, and with the pixels that were given.
    assert [ids(masks / "0a1b" / f"{stem}.png") for stem in stems] == [[0, 2]] * 2 + [[0, 2, 7]] * 4
    assert [ids(masks / "c2d3" / f"{stem}.png") for stem in stems] == [[0]] + [[0, 2]] * 2 + [
        [0, 2, 7]
    ] * 3
    given = read_palette_mask(root / "valid" / "Annotations" / "0a1b" / "00010.png")
    written = read_palette_mask(masks / "0a1b" / "00010.png")
    assert (written[given == 7] == 7).all()
    record = json.loads(vos_eval(root, "valid", "--json").out)
    assert "J&F" not in record and record["frames"] == 12


def test_objects_are_scored_behind_their_first_frame(
    vos_eval, vos_command, write_youtube_vos: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_youtube_vos("train")
    record = json.loads(vos_eval(root, "train", "--json").out)
    assert set(record["objects"]) == {"0a1b_2", "0a1b_7", "c2d3_2", "c2d3_7"}
    assert record["J&F"] > 0.8
    assert (tmp_path / "train" / "report.html").is_file()
    masks, truth = tmp_path / "train" / "Annotations", root / "train" / "Annotations"
    # By hand: object 7 of 0a1b is given in frame 2; of the frames behind, 4 has a mask.
    a, b = (read_palette_mask(base / "0a1b" / "00020.png") == 7 for base in (masks, truth))
    assert record["objects"]["0a1b_7"]["J"] == pytest.approx((a & b).sum() / (a | b).sum())
    both = []
    for stem in ("00010", "00020"):
        a, b = (read_palette_mask(base / "0a1b" / f"{stem}.png") == 2 for base in (masks, truth))
        both.append((a & b).sum() / (a | b).sum())
    assert record["objects"]["0a1b_2"]["J"] == pytest.approx(np.mean(both))

    where = ("--dataset", "youtube-vos", "--root", root, "--split", "train", "--json")
    for folder in (tmp_path / "train", masks):
        assert json.loads(vos_command("score", folder, *where).out)["J&F"] == record["J&F"]
    write_mask(masks / "0a1b" / "00020.png", np.full((64, 96), 3, np.uint8))
    ended = vos_command("score", masks, *where)
    assert ended.code == 4
    assert "holds the id 3, but the first masks of 0a1b has only the ids 2, 7" in ended.complaint


def test_scoring_needs_truth(vos_eval, vos_command, write_youtube_vos, tmp_path: Path) -> None:
    root = write_youtube_vos("valid")
    assert vos_eval(root, "valid").code == 0
    ended = vos_command("score", tmp_path / "valid", "--dataset", "youtube-vos", "--root", root)
    assert ended.code == 1
    assert "the truth is with the official server" in ended.complaint
