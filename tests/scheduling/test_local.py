"""Every task once, whatever happens to workers: in this process and in several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from steps import OpenWorker

from vos.errors import MissingError, UsageError, VosError
from vos.scheduling import LocalExecutor, Task, choose_executor, processes, run_tasks
from vos.scheduling.in_process import InProcess
from vos.scheduling.processes import GIB
from vos.scheduling.tasks import Done, Failed

Job = Callable[..., list[Task]]


def run(tasks: list[Task], workers: int, **more: object):
    ended: list[str] = []

    def note(task: Task, event: Done | Failed, attempts: int) -> None:
        ended.append(task.name)

    outcome = run_tasks(
        tasks,
        OpenWorker(),
        LocalExecutor("cpu", workers),
        description="",
        unit="step",
        on_end=note,
    )
    assert sorted(ended) == sorted(task.name for task in tasks)  # none lost, none twice
    return outcome


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_named_and_stop_nothing(job: Job, tries, workers: int) -> None:
    tasks = job("fine", "poison", "flaky", "bug", "fine", "fine")
    outcome = run(tasks, workers)
    assert list(outcome.results) == ["0-fine", "2-flaky", "4-fine", "5-fine"]
    assert [result["square"] for result in outcome.results.values()] == [0, 4, 16, 25]
    assert {name: str(error) for name, error in outcome.failures.items()} == {
        "1-poison": "not a video",
        "3-bug": "unexpected ZeroDivisionError: division by zero",
    }
    # What is wrong with a video stays wrong; anything else may be chance.
    assert [tries(number) for number in range(6)] == [1, 1, 3, 3, 1, 1]
    assert outcome.lost_workers == 0
    with pytest.raises(VosError, match=r"^2 of 6 videos failed: 1-poison: not a video; 3-bug: un"):
        outcome.raise_failures("video")


def test_a_task_that_takes_its_worker_along_does_so_three_times(job: Job, tries) -> None:
    outcome = run(job("fine", "bomb", *["fine"] * 6), 3)
    assert len(outcome.results) == 7
    assert "3 workers were lost at it, the last: killed by SIGKILL" in str(
        outcome.failures["1-bomb"]
    )
    assert tries(1) == outcome.lost_workers == 3


def test_workers_share_the_processors(job: Job) -> None:
    result = run(job("fine", "fine"), 64).results["0-fine"]
    assert result["threads"] == "1"


def test_a_worker_that_cannot_be_made_ends_the_job(job: Job) -> None:
    for workers in (1, 2):
        with pytest.raises(MissingError, match="no weights: get them"):
            run_tasks(
                job("fine", "fine"),
                OpenWorker("no weights: get them"),
                LocalExecutor("cpu", workers),
                description="",
                unit="step",
            )


def test_a_place_that_makes_no_worker_is_left_out(
    job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opener = OpenWorker("other weights here", once=tmp_path)
    engine = LocalExecutor("cpu", 2)
    outcome = run_tasks(job("fine", "fine", "fine"), opener, engine, description="", unit="step")
    assert len(outcome.results) == 3
    assert caplog.messages == ["a worker could not start: other weights here"]


def test_workers_that_do_not_fit_are_not_started(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first is measured, at about 220 MiB, then as many as fit beside it."""
    monkeypatch.setattr(processes, "available_memory", lambda: 600 * 2**20)
    outcome = run(job(*["heavy"] * 8), 6)
    assert len(outcome.results) == 8
    assert caplog.messages == [
        "3 of 6 workers: each takes 0.2 GiB at its peak, and 0.6 GiB are free beside the first"
    ]


@pytest.mark.parametrize(
    ("free", "peak", "wanted", "more"),
    [(10, 2, 9, 4), (10, 2, 3, 3), (1, 2, 3, 0), (0, 2, 3, 0)],
)
def test_as_many_as_fit(free: float, peak: float, wanted: int, more: int) -> None:
    assert processes.more_that_fit(wanted, peak * GIB, free * GIB) == more


def test_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max").write_text("300000000\n")
    (tmp_path / "current").write_text("100000000\n")
    limits = ((str(tmp_path / "max"), str(tmp_path / "current")),)
    monkeypatch.setattr(processes, "_LIMITS", limits)
    assert processes.available_memory() <= 200_000_000


def test_workers_end_with_the_process_that_started_them(job: Job, tmp_path: Path) -> None:
    """Also when that is killed, and in the middle of a task."""
    program = (
        "from pathlib import Path\n"
        "from steps import OpenWorker, Step\n"
        "from vos.scheduling import LocalExecutor, Task, run_tasks\n"
        f"tasks = [Task(str(n), Step('fine', n, Path({str(tmp_path)!r}), 60)) for n in range(2)]\n"
        "run_tasks(tasks, OpenWorker(), LocalExecutor('cpu', 2), description='', unit='step')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    driver = subprocess.Popen([sys.executable, "-c", program], env=environment)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [int((tmp_path / str(number)).read_text()) for number in range(2)]
    assert all(psutil.pid_exists(pid) for pid in workers)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_alive, workers))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_choices_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown executor 'rya': did you mean ray"):
        choose_executor("rya")
    with pytest.raises(UsageError, match="`workers` must be 1 or more"):
        choose_executor(workers=0)
    with pytest.raises(UsageError, match="goes with the executor ray"):
        choose_executor(address="head:6379")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingError, match=r"^Ray is missing: pip install 'vos-propagation\[ray\]"):
        choose_executor("ray")


def test_one_device_of_several_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert choose_executor("local", device="cuda:1").device == "cuda:1"
    executors = [choose_executor("local", device=name, workers=2) for name in ("cuda:1", "cuda")]
    used = [each.pool(OpenWorker(), lambda units: None)._devices for each in executors]
    assert used == [["cuda:1"], ["cuda:0", "cuda:1", "cuda:2"]]


@pytest.mark.parametrize(("size", "told"), [(1, []), (5, [2, 3])])
def test_only_a_task_whose_size_is_known_tells_how_far_it_is(size: int, told: list[int]) -> None:
    """The unit of the bar is the frame where frames are known, else the video."""
    heard: list[int] = []

    def work(payload: object, advance: Callable[[int], None]) -> dict[str, int]:
        advance(2)
        advance(3)
        return {"computed": 5}

    pool = InProcess(lambda device: work, "cpu", heard.append)
    pool.wait(0)
    pool.submit(0, Task("clip", None, size))
    (event,) = pool.wait(0)
    assert isinstance(event, Done)
    assert heard == told and event.advanced == sum(told)


def test_what_cannot_be_sent_to_a_worker_is_told() -> None:
    with pytest.raises(UsageError, match=r"cannot be sent to another process .* leave out"):
        run([Task("clip", lambda: None)], 2)
