"""A real Ray cluster of several nodes, on which workers, nodes and drivers are killed.

Whatever happens: every video is done once, what cannot be done is named, and the results are the
bytes that one process gives.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from steps import OpenWorker, Step

import vos
from vos.errors import MissingError, VosError
from vos.export import export_features
from vos.media import write_mask
from vos.scheduling import LocalExecutor, RayExecutor, Task, run_tasks
from vos.scheduling.ray_pool import connect, device_of_cluster
from vos.segmentation.run import propagate_many

cluster_utils = pytest.importorskip("ray.cluster_utils")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.xdist_group("ray"),
]

NODES = 2  # beside the head
MODEL = "lab,stride=4"


class Cluster:
    """A head that schedules, and nodes of one core that work."""

    def __init__(self) -> None:
        self._cluster = cluster_utils.Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": 2**27,
                "include_dashboard": False,
            },
        )
        self.nodes = [self.add() for _ in range(NODES)]

    @property
    def address(self) -> str:
        return self._cluster.address

    def add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=2**27)

    def kill_a_node(self) -> None:
        """As when its power goes; another comes later."""
        self._cluster.remove_node(self.nodes.pop(), allow_graceful=False)
        self.nodes.append(self.add())

    def stop(self) -> None:
        import ray

        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_prestart_worker_first_driver", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 where nothing is said: last in any queue
        started = _start()
        connect(started.address)
        yield started
        started.stop()


def _start(tries: int = 3) -> Cluster:
    """Ray gives a node 30 s to start, which on a very busy machine is not enough."""
    for _ in range(tries - 1):
        with contextlib.suppress(Exception):
            return Cluster()
    return Cluster()


@pytest.fixture
def engine(cluster: Cluster) -> RayExecutor:
    return RayExecutor("cpu", cluster.address)


@pytest.fixture
def clips(moving_scene, tmp_path: Path) -> Callable[[int, int], list[Path]]:
    """``clips(n, frames)``: folders of frames that differ, with first masks in ``first``."""

    def make(count: int, frames: int) -> list[Path]:
        paths = []
        for number in range(count):
            path = tmp_path / "clips" / f"clip {number:02d}"
            path.mkdir(parents=True)
            for index in range(frames):
                frame, mask = moving_scene(index % 20)
                Image.fromarray(np.roll(frame, number, 2)).save(path / f"{index:05d}.png")
                if index == 0:
                    write_mask(tmp_path / "first" / f"{path.name}.png", mask)
            paths.append(path)
        return paths

    return make


def when_done(manifest: Path, count: int, act: Callable[[list[dict[str, Any]]], None]) -> Any:
    """Do something, in a thread, as soon as so many lines are in the manifest."""

    def watch() -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            entries = ended(manifest) if manifest.is_file() else []
            if len(entries) >= count:
                act(entries)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def kill_the_last_worker(entries: list[dict[str, Any]]) -> None:
    os.kill(int(entries[-1]["worker"].split()[-1]), signal.SIGKILL)


def digests(folder: Path, pattern: str = "*") -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def states(manifest: Path) -> Counter[tuple[str, str]]:
    """How often each video is said to be done, or to have failed."""
    return Counter((entry["name"], entry["state"]) for entry in ended(manifest))


def ended(manifest: Path) -> list[dict[str, Any]]:
    """The whole lines that tell how a video ended."""
    lines = [line for line in manifest.read_text().splitlines(keepends=True) if line[-1] == "\n"]
    return [entry for entry in map(json.loads, lines) if "state" in entry]


def test_export_outlives_a_worker_a_node_and_a_poisoned_video(
    cluster: Cluster, engine: RayExecutor, clips, tmp_path: Path
) -> None:
    videos = clips(10, 60)
    poisoned = tmp_path / "clips" / "poisoned.mp4"
    poisoned.write_bytes(b"not a video at all" * 99)
    out, manifest = tmp_path / "all.zarr", tmp_path / "all.zarr.manifest.jsonl"
    killers = [
        when_done(manifest, 2, kill_the_last_worker),
        when_done(manifest, 5, lambda _: cluster.kill_a_node()),
    ]
    with pytest.raises(VosError, match=r"^1 of 11 videos failed: poisoned: .*poisoned\.mp4"):
        export_features([*videos[:5], poisoned, *videos[5:]], out, executor=engine, model=MODEL)
    for killer in killers:
        killer.join(180)
    expected = {(video.name, "done"): 1 for video in videos} | {("poisoned", "failed"): 1}
    assert states(manifest) == expected
    entries = ended(manifest)
    assert sum(entry["attempts"] - 1 for entry in entries) >= 1  # others took over

    alone = tmp_path / "alone.zarr"
    export_features(videos, alone, executor=LocalExecutor("cpu"), model=MODEL)
    assert digests(out) == digests(alone)
    assert vos.open_features(out / videos[3].name).shape == (60, 48, 16, 24)


def test_propagation_goes_on_after_its_driver_was_killed(
    cluster: Cluster, engine: RayExecutor, clips, tmp_path: Path
) -> None:
    videos = clips(8, 20)
    out, manifest = tmp_path / "out", tmp_path / "out" / "manifest.jsonl"
    names = tmp_path / "videos.txt"
    names.write_text("".join(f"{video}\n" for video in videos))
    command = [
        *(sys.executable, "-c", "from vos.cli.app import main; main()", "propagate"),
        *("--list", str(names), "--masks", str(tmp_path / "first"), "--out", str(out)),
        *("--engine", "ray", "--address", cluster.address, "--device", "cpu", "--model", MODEL),
    ]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    when_done(manifest, 3, lambda _: driver.send_signal(signal.SIGKILL)).join()
    assert driver.wait(180) == -signal.SIGKILL
    before = {name for name, _ in states(manifest)}
    assert 3 <= len(before) < 8

    how = {"model": MODEL, "config": vos.preset("default")}
    summary = propagate_many(videos, tmp_path / "first", out, executor=engine, **how)
    assert (len(summary.results), summary.begun, summary.frames) == (8, 8 - len(before), 160)
    assert states(manifest) == {(video.name, "done"): 1 for video in videos}

    alone = tmp_path / "alone"
    propagate_many(videos, tmp_path / "first", alone, executor=LocalExecutor("cpu"), **how)
    assert digests(out, "*.png") == digests(alone, "*.png")
    assert len(digests(out, "*.png")) == 160


def test_evaluation_on_the_cluster_gives_the_figures_of_one_process(
    engine: RayExecutor, write_davis, tmp_path: Path
) -> None:
    import torch

    from vos.datasets import open_dataset
    from vos.evaluation.evaluate import evaluate

    dataset = open_dataset("davis", root=write_davis("ant", "bee", "cow"))

    def figures(name: str, engine: Any) -> tuple[dict[str, Any], dict[str, str]]:
        evaluation = evaluate(
            dataset,
            tmp_path / name,
            model=MODEL,
            device=torch.device("cpu"),
            executor=engine and RayExecutor("cpu", engine.address, workers=1),
            report=False,
        )
        return evaluation.scores.as_dict(), digests(tmp_path / name, "*.png")

    assert figures("cluster", engine) == figures("alone", None)


def test_a_task_that_kills_workers_is_named(engine: RayExecutor, tmp_path: Path) -> None:
    kinds = ["fine", "bomb", "fine", "flaky", "fine"]
    tasks = [Task(f"{n}-{kind}", Step(kind, n, tmp_path)) for n, kind in enumerate(kinds)]
    outcome = run_tasks(tasks, OpenWorker(), engine, description="", unit="step")
    assert list(outcome.results) == ["0-fine", "2-fine", "3-flaky", "4-fine"]
    assert "3 workers were lost at it" in str(outcome.failures["1-bomb"])


def test_what_a_cluster_does_not_have(engine: RayExecutor, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no node of the cluster has a GPU"):
        device_of_cluster("cuda")
    with pytest.raises(MissingError, match=r"no weights \(on .* \d+\)"):
        tasks = [Task("0", Step("fine", 0, tmp_path))]
        run_tasks(tasks, OpenWorker("no weights"), engine, description="", unit="step")
