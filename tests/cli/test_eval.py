"""`vos eval`: the record, going on after a stop, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vos
from vos.datasets import open_dataset
from vos.evaluation import evaluate as evaluation_module
from vos.media import read_palette_mask, write_mask
from vos.segmentation import to_files as to_files_module

CHEAP = ("--model", "lab,stride=4", "--set", "radius=6", "--device", "cpu")


@pytest.fixture
def vos_eval(vos_command, davis: Path, tmp_path: Path):
    """`vos eval` on the two small sequences, into ``out``."""

    def run(*more: object, root: Path = davis, out: Path = tmp_path / "out"):
        return vos_command(
            "eval", "--dataset", "davis", "--root", root, "--out", out, *CHEAP, *more
        )

    return run


def figures(out: Path) -> dict[str, object]:
    record = json.loads((out / "metrics.json").read_text())
    return {name: record[name] for name in ("J&F", "J", "F", "objects", "frames")}


def test_json_is_alone_on_standard_output_and_keeps_the_contract(vos_eval, tmp_path: Path) -> None:
    ended = vos_eval("--json", "--no-report")
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert set(record["J"]) == set(record["F"]) == {"mean", "recall", "decay"}
    assert record["J&F"] == pytest.approx((record["J"]["mean"] + record["F"]["mean"]) / 2)
    # The protocol scores every id up to the highest; those in between are nowhere, which is right.
    assert {"ant_2", "ant_7", "bee_2", "bee_7"} <= set(record["objects"])
    assert set(record["objects"]["ant_2"]) == {"J", "F"}
    assert set(record["seconds"]) >= {"features", "propagation", "scoring", "total"}
    assert record["frames"] == 12
    assert record["fps"] > 0 and record["peak_memory_mb"] > 0
    assert (record["model"], record["preset"]) == ("lab,stride=4", "default")
    assert record["device"].startswith("cpu")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == record
    assert ended.err.splitlines() == [f"device: {record['device']}"]


def test_quiet_leaves_the_table_alone(vos_eval) -> None:
    ended = vos_eval("-q")
    assert ended.err == ""
    assert ended.out.splitlines()[0].split()[:2] == ["object", "J&F"]


def test_masks_are_those_of_vos_propagate(vos_eval, davis: Path, tmp_path: Path) -> None:
    assert vos_eval("--sequences", "bee", "--no-report").code == 0
    config = vos.preset("default").with_settings({"radius": "6"})
    (bee,) = open_dataset("davis", root=davis, sequences=["bee"])
    frames = bee.frame_paths[0].parent
    model = vos.load("lab,stride=4")
    stream = vos.propagate(frames, {0: bee.mask(0)}, model=model, preset=config, device="cpu")
    for index, _, mask in stream:
        written = read_palette_mask(tmp_path / "out" / "bee" / f"{index:05d}.png")
        np.testing.assert_array_equal(written, mask)
    assert index == 5
    assert not (tmp_path / "out" / "ant").exists()


def test_everything_is_written_and_can_be_scored_by_itself(
    vos_eval, vos_command, davis: Path, tmp_path: Path
) -> None:
    assert vos_eval().code == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "ant",
        "bee",
        "manifest.jsonl",
        "manifests",
        "metrics.json",
        "run.json",
        "report.html",
        "global_results-val.csv",
        "per-sequence_results-val.csv",
    }
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    figure = figures(out)["J&F"]
    scored = vos_command("score", out, "--dataset", "davis", "--root", davis, "--json")
    assert json.loads(scored.out)["J&F"] == figure
    # What `vos eval` wrote stays as it is; its figures are the same, and it holds more.
    assert {path: path.read_bytes() for path in before} == before
    assert "left metrics.json" in scored.err
    apart = ("score", out, "--dataset", "davis", "--root", davis, "--out", tmp_path / "scores")
    assert vos_command(*apart).code == vos_command(*apart).code == 0
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["J&F"] == figure


def test_dry_run_writes_nothing(vos_eval, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended = vos_eval("--dry-run", "--json")
    assert ended.code == 0
    plan = json.loads(ended.out)
    assert (plan["sequences"], plan["frames"], plan["out"]) == (2, 12, str(tmp_path / "out"))
    assert "would segment 12 frames" in vos_eval("--dry-run").out
    assert sorted(tmp_path.rglob("*")) == before


def test_starting_anew_is_advised_where_it_helps_and_then_does(vos_eval, tmp_path: Path) -> None:
    notes = tmp_path / "out" / "ant" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("of the user")
    refused = vos_eval("--no-report")
    assert refused.code == 2 and "add --overwrite to write beside them" in refused.err
    metrics = tmp_path / "out" / "metrics.json"
    metrics.write_text("of the user")
    for more in ((), ("--overwrite",)):
        refused = vos_eval("--no-report", *more)
        assert refused.code == 2 and "overwrite" not in refused.err
    metrics.unlink()
    ended = vos_eval("--no-report", "--overwrite")
    assert ended.code == 0, ended.err
    assert notes.read_text() == "of the user" and len(list(notes.parent.glob("*.png"))) == 6


def test_a_data_set_of_first_masks_is_segmented_and_not_scored(
    vos_eval, davis: Path, tmp_path: Path
) -> None:
    """As DAVIS test-dev: the truth is with the official server."""
    masks = davis / "Annotations" / "480p"
    for path in masks.glob("*/*.png"):
        if path.stem != "00000":
            path.unlink()
    ended = vos_eval()
    assert ended.code == 0, ended.err
    assert ended.out.rstrip().endswith("the truth of davis-2017 val is there")
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 12
    assert not list((tmp_path / "out").glob("*.csv"))
    (masks / "bee" / "00003.png").write_bytes((masks / "bee" / "00000.png").read_bytes())
    assert vos_eval().code == 3  # some truth, and not all of it


def test_a_dry_run_sees_that_the_model_is_there(vos_eval) -> None:
    ended = vos_eval("--model", "labb", "--dry-run")
    assert ended.code == 2 and "did you mean lab" in ended.complaint


class TestGoingOn:
    @pytest.fixture
    def no_segmenting(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        def fail(*_: object, **__: object) -> None:
            raise AssertionError("segmented again")

        return lambda: monkeypatch.setattr(to_files_module, "segment", fail)

    def test_a_finished_run_is_only_scored_again(self, vos_eval, tmp_path, no_segmenting) -> None:
        assert vos_eval().code == 0
        before = figures(tmp_path / "out")
        no_segmenting()
        assert vos_eval().code == 0
        assert figures(tmp_path / "out") == before

    def test_sequences_may_be_added(self, vos_eval, tmp_path, read_masks) -> None:
        assert vos_eval("--sequences", "ant", "--no-report").code == 0
        ant = read_masks(tmp_path / "out" / "ant")
        times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "ant").iterdir()}
        assert vos_eval("--no-report").code == 0
        assert {p: p.stat().st_mtime_ns for p in times} == times
        assert len(ant) == 6
        assert figures(tmp_path / "out")["frames"] == 12

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            (("--model", "lab"), "another model (lab,stride=4, now lab)"),
            (("--preset", "crw"), "another preset (default, now crw)"),
            (("--set", "neighbours=3"), "another config (neighbours: 10, now 3)"),
        ],
    )
    def test_changed_settings_are_refused_without_overwrite(
        self, vos_eval, tmp_path: Path, changed: tuple[str, str], named: str
    ) -> None:
        assert vos_eval("--no-report").code == 0
        before = figures(tmp_path / "out")
        ended = vos_eval(*changed, "--no-report")
        assert ended.code == 2
        assert named in ended.complaint and "--overwrite" in ended.complaint
        assert figures(tmp_path / "out") == before
        assert vos_eval(*changed, "--no-report", "--overwrite").code == 0

    def test_another_first_mask_is_refused(self, vos_eval, davis: Path) -> None:
        assert vos_eval("--no-report").code == 0
        first = davis / "Annotations" / "480p" / "bee" / "00000.png"
        write_mask(first, np.where(read_palette_mask(first) == 2, 2, 0).astype(np.uint8))
        ended = vos_eval("--no-report")
        assert ended.code == 2
        assert "bee holds a run with another mask" in ended.err.splitlines()[-1]
        assert vos_eval("--no-report", "--overwrite").code == 0

    def test_other_random_weights_are_refused(self, vos_eval) -> None:
        random = ("--model", "resnet18,layer=2", "--no-report", "--sequences", "ant")
        assert vos_eval(*random).code == 0
        ended = vos_eval(*random, "--seed", "1")
        assert ended.code == 2
        assert "another weights" in ended.complaint

    def test_overwrite_deletes_results_and_nothing_else(self, vos_eval, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (out / "holiday").mkdir(parents=True)
        for name in ("holiday/beach.png", "notes.json", "table.csv", "page.html"):
            (out / name).write_text("mine")
        refused = vos_eval("--no-report")
        assert refused.code == 2
        assert "holds files of something else" in refused.complaint
        assert vos_eval("--no-report", "--overwrite").code == 0
        for name in ("holiday/beach.png", "notes.json", "table.csv", "page.html"):
            assert (out / name).read_text() == "mine"

    @pytest.mark.parametrize("more", [(), ("--overwrite",)])
    def test_the_truth_is_never_written_over(self, vos_eval, davis, read_masks, more) -> None:
        truth = davis / "Annotations" / "480p"
        before = read_masks(truth)
        ended = vos_eval(*more, out=truth)
        assert ended.code == 2
        assert "holds the true masks" in ended.complaint
        assert read_masks(truth).keys() == before.keys()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_run_stopped_by_a_signal_goes_on_to_the_same_end(
    vos_eval, write_davis, read_masks, tmp_path: Path, name: str
) -> None:
    """In a process of its own, stopped while it segments the second sequence."""
    root = write_davis("ant", "bee", frames=24, folder="longer")
    arguments = ["eval", "--dataset", "davis", "--root", str(root), *CHEAP, "--no-report"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    command = [sys.executable, "-c", "from vos.cli.app import main; main()", *arguments]
    process = subprocess.Popen(
        [*command, "--out", str(stopped)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (stopped / "bee" / "00002.png").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if name == "SIGINT" else -signal.SIGKILL)
    assert out == "" and "Traceback" not in err
    if name == "SIGINT":
        assert err.splitlines()[-1] == "vos: interrupted; what was finished is kept"
    assert not (stopped / "metrics.json").exists()
    first = {path: path.stat().st_mtime_ns for path in (stopped / "ant").iterdir()}
    assert len(first) == 24

    assert vos_eval("--no-report", root=root, out=stopped).code == 0
    assert vos_eval("--no-report", root=root, out=whole).code == 0
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert figures(stopped) == figures(whole)
    one, other = read_masks(stopped), read_masks(whole)
    assert one.keys() == other.keys()
    assert all((one[path] == other[path]).all() for path in one)


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (evaluation_module, "check_dataset"),
        (evaluation_module, "write_json"),
        (to_files_module, "write_mask"),
        (evaluation_module, "score_results"),
        (evaluation_module, "write_report"),
    ],
)
def test_ctrl_c_at_any_time_keeps_what_is_done(
    vos_eval, monkeypatch: pytest.MonkeyPatch, module, step: str
) -> None:
    whole = getattr(module, step)

    def interrupted(*arguments: object, **named: object) -> object:
        result = whole(*arguments, **named)
        signal.raise_signal(signal.SIGINT)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(module, step, interrupted)
        ended = vos_eval("--sequences", "ant")
    assert ended.code == 130
    assert "interrupted" in ended.complaint
    again = vos_eval("--sequences", "ant")
    assert again.code == 0, again.err
