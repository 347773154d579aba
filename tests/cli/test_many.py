"""Many videos: the same results for any number of workers, failures named, finished ones kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vos
from vos.media import read_rle, write_mask

CHEAP = ("--model", "lab,stride=4", "--device", "cpu")


@pytest.fixture
def clips(clip: Path, tmp_path: Path) -> list[Path]:
    """Three videos, with first masks in ``given``; the third has a later one too."""
    masks = tmp_path / "given"
    paths = []
    for number in range(3):
        paths.append(tmp_path / "clips" / f"clip {number}")
        shutil.copytree(clip, paths[-1])
    for number in range(2):
        masks.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "masks" / "0.png", masks / f"clip {number}.png")
    (masks / "clip 2").mkdir()
    for index in (1, 4):
        shutil.copy(tmp_path / "masks" / f"{index}.png", masks / "clip 2" / f"{index}.png")
    return paths


@pytest.fixture
def propagate(vos_command, clips: list[Path], tmp_path: Path):
    def run(out: str, *more: object, videos: list[Path] = clips):
        masks = ("--masks", tmp_path / "given")
        return vos_command(
            *("propagate", *videos, *masks, "--out", tmp_path / out, *CHEAP, *more, "--json")
        )

    return run


def test_propagation_does_not_depend_on_the_workers(
    propagate, read_masks: Callable, clips, tmp_path: Path
) -> None:
    one = propagate("one", "--rle", tmp_path / "rle", "--overlay", tmp_path / "shown")
    assert one.code == 0, one.err
    record = json.loads(one.out)
    assert (record["videos"], record["begun"], record["frames"]) == (3, 3, 18)
    two = propagate("two", "--workers", 2, videos=[clips[0].parent])  # the folder of all three
    assert two.code == 0, two.err
    masks, again = read_masks(tmp_path / "one"), read_masks(tmp_path / "two")
    assert masks.keys() == again.keys() and len(masks) == 18
    assert all((masks[path] == again[path]).all() for path in masks)
    assert len(list(read_rle(tmp_path / "rle" / "clip 1.json"))) == 6
    assert (tmp_path / "shown" / "clip 2.mp4").is_file()
    # The third is propagated backwards from its first mask, and corrected by the second.
    given = [np.array(read_masks(tmp_path / "masks")[f"{index}.png"]) for index in range(6)]
    for index, ids, mask in vos.propagate(
        clips[2], {1: given[1], 4: given[4]}, model=vos.load("lab,stride=4"), device="cpu"
    ):
        np.testing.assert_array_equal(masks[f"clip 2/{index}.png"], mask)
        assert ids == (2, 7)


def test_one_bad_video_stops_no_other_and_is_tried_again(
    propagate, clips: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "given" / "clip 1.png").rename(tmp_path / "away.png")
    ended = propagate("out")
    assert ended.code == 3  # as if it had been alone
    assert "1 of 3 videos failed: clip 1: there is no mask" in ended.err.splitlines()[-1]
    manifest = tmp_path / "out" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()[1:]]
    assert {line["name"]: line["state"] for line in lines if "name" in line} == {
        "clip 0": "done",
        "clip 1": "failed",
        "clip 2": "done",
    }
    (tmp_path / "away.png").rename(tmp_path / "given" / "clip 1.png")
    assert json.loads(propagate("out").out)["begun"] == 1
    assert json.loads(propagate("out").out)["begun"] == 0
    shutil.rmtree(tmp_path / "out" / "clip 2")
    assert json.loads(propagate("out").out)["begun"] == 1
    shown = ("--overlay", tmp_path / "shown")
    assert json.loads(propagate("out", *shown).out)["begun"] == 3  # for the overlays alone
    assert json.loads(propagate("out", *shown).out)["begun"] == 0
    refused = propagate("out", "--preset", "crw")
    assert refused.code == 2 and "another config" in refused.complaint
    assert json.loads(propagate("out", "--preset", "crw", "--overwrite").out)["begun"] == 3


def test_another_mask_or_video_of_the_same_name_is_noticed(
    propagate, clips: list[Path], tmp_path: Path
) -> None:
    assert propagate("out").code == 0
    before = (tmp_path / "out" / "clip 0" / "3.png").read_bytes()
    write_mask(tmp_path / "given" / "clip 0.png", np.full((64, 96), 3, np.uint8))
    (clips[1] / "2.jpg").write_bytes((clips[1] / "3.jpg").read_bytes())
    ended = propagate("out")
    assert ended.code != 0
    said = ended.err.splitlines()[-1]
    assert "clip 0 holds a run with another mask" in said
    assert "clip 1 holds a run with another video content" in said and "2 of 2 videos" in said
    assert (tmp_path / "out" / "clip 0" / "3.png").read_bytes() == before
    assert json.loads(propagate("out", "--overwrite").out)["begun"] == 3
    assert (tmp_path / "out" / "clip 0" / "3.png").read_bytes() != before


def test_features_of_another_video_of_the_same_name_are_no_finished_ones(
    vos_command, clips: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "all.zarr"
    command = ("export", *clips, "--out", out, *CHEAP)
    assert vos_command(*command).code == 0
    (clips[1] / "2.jpg").write_bytes((clips[1] / "3.jpg").read_bytes())
    ended = vos_command(*command)
    assert ended.code == 2
    assert "clip 1 holds a run with another video content" in ended.err.splitlines()[-1]
    shutil.rmtree(clips[1])
    assert vos_command(*command).code == 3


def test_export_of_a_list(vos_command, clips, tmp_path: Path) -> None:
    names, out = tmp_path / "list.txt", tmp_path / "all.zarr"
    names.write_text("# clips\n\n" + "".join(f"{path}\n" for path in clips))
    command = ("export", "--list", names, "--out", out, *CHEAP)
    ended = vos_command(*command, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["computed"] == 18
    assert json.loads(vos_command(*command, "--json").out)["begun"] == 0
    for path in clips:
        assert vos.open_features(out / path.name).shape == (6, 48, 16, 24)
    shutil.rmtree(out / clips[1].name)
    shown = vos_command(*command).out
    assert "6 of 18 frames computed" in shown
    assert json.loads(vos_command(*command, "--overwrite", "--json").out)["computed"] == 18


def test_evaluation_does_not_depend_on_the_workers(
    vos_command, davis: Path, read_masks: Callable, tmp_path: Path
) -> None:
    for workers in (1, 2):
        ended = vos_command(
            *("eval", "--dataset", "davis", "--root", davis, "--out", tmp_path / f"{workers}"),
            *(*CHEAP, "--workers", workers, "--no-report"),
        )
        assert ended.code == 0, ended.err
    one, two = read_masks(tmp_path / "1"), read_masks(tmp_path / "2")
    assert one.keys() == two.keys() and len(one) == 12
    assert all((one[path] == two[path]).all() for path in one)


def test_a_bad_sequence_stops_no_other(vos_command, davis: Path, tmp_path: Path) -> None:
    frame = davis / "JPEGImages" / "480p" / "ant" / "00003.jpg"
    whole = frame.read_bytes()
    frame.write_bytes(whole[:900])
    command = ("eval", "--dataset", "davis", "--root", davis, "--out", tmp_path / "out", *CHEAP)
    ended = vos_command(*command)
    assert ended.code == 1
    assert "1 of 2 sequences failed: ant: " in ended.err.splitlines()[-1]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert list(run["sequences"]) == ["bee"] and "00003.jpg" in run["failed"]["ant"]
    frame.write_bytes(whole)
    assert vos_command(*command).code == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["failed"] == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("propagate", "a.mp4", "b.mp4", "--mask", "m.png", "--out", "o"), "give one VIDEO"),
        (("propagate", "a.mp4", "--out", "o"), "no mask given"),
        (("propagate", "a.mp4", "--masks", ".", "--mask", "m.png", "--out", "o"), "of one video"),
        (("propagate", "a.mp4", "--mask", "m.png", "--out", "o", "--workers", "2"), "many videos"),
        (("propagate", "x/a.mp4", "y/a.mp4", "--masks", ".", "--out", "o"), "2 videos are named a"),
        (("export", "a.mp4", "--out", "o.zarr", "--engine", "ray"), "many videos"),
        (("export", "--list", "none.txt", "--out", "o.zarr"), "no list none.txt"),
        (("export", "a.mp4", "b.mp4", "--out", "o.npz"), "holds one video"),
        (("eval", "--engine", "dask"), "unknown executor 'dask'"),
        (("eval", "--workers", "0"), "--workers"),
        (("eval", "--address", "head:6379"), "add --executor ray"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    vos_command, arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_mask(tmp_path / "m.png", np.ones((4, 4), np.uint8))
    ended = vos_command(*arguments)
    assert ended.code in (2, 3)
    assert words in ended.complaint
