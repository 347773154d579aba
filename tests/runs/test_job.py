"""A job does what is not done, notes how each item ended, and sums it up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vos.errors import MissingError, UsageError, VosError
from vos.runs.folder import RunFolder
from vos.runs.job import Summary, named, part_record, read_list, run_job
from vos.scheduling import LocalExecutor, Task


class Frames:
    """A worker of items that are numbers of frames; 0 is a video that is not there."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __call__(self, frames: int, advance: Any) -> dict[str, Any]:
        if frames == 0:
            raise MissingError("there is no video")
        return {"frames": frames, "computed": frames, "seconds": {"features": 2.0, "total": 3.0}}


def do(
    folder: Path, items: dict[str, int], gone: tuple[str, ...] = ()
) -> tuple[Summary, RunFolder]:
    run = RunFolder.open(folder, {"command": "count"})
    summary = run_job(
        [Task(name, frames) for name, frames in items.items()],
        Frames,
        LocalExecutor("cpu"),
        run,
        is_done=lambda name: name not in gone,
        description="counting",
        unit="video",
    )
    return summary, run


def test_what_is_done_and_still_there_is_not_done_again(tmp_path: Path) -> None:
    first, _ = do(tmp_path, {"a": 3, "b": 0, "c": 5})
    assert (first.begun, first.computed, first.frames, list(first.results)) == (3, 8, 8, ["a", "c"])
    assert first.seconds["features"] == 4.0
    with pytest.raises(MissingError, match=r"1 of 3 videos failed: b: there is no video \(all\)"):
        first.raise_failures("video", hint=" (all)")
    second, run = do(tmp_path, {"a": 3, "b": 7, "c": 5}, gone=("c",))
    assert (second.begun, second.computed, second.frames) == (2, 12, 15)
    assert not second.failures and run.items["b"]["state"] == "done"
    third, _ = do(tmp_path, {"a": 3, "b": 7, "c": 5})
    assert (third.begun, third.computed, third.frames, third.fps) == (0, 0, 15, 0.0)
    assert third.to_dict()["frames"] == 15


def test_names_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shot.v1").mkdir()
    monkeypatch.chdir(tmp_path)
    found = named([Path("clip.mp4"), Path("shot.v1")])
    assert found == {"clip": tmp_path / "clip.mp4", "shot.v1": tmp_path / "shot.v1"}
    with pytest.raises(UsageError, match="2 videos are named clip"):
        named([Path("clip.mp4"), Path("x/clip.mov")])
    with pytest.raises(UsageError, match="manifests is the name of the folder of the records"):
        named([Path("manifests.mp4")])
    (tmp_path / "list.txt").write_bytes("\ufeff# films\n\n a.mp4 \n".encode() + b"caf\xe9.mp4\n")
    first, second = read_list(tmp_path / "list.txt")
    assert (first, bytes(second)) == (Path("a.mp4"), b"caf\xe9.mp4")
    with pytest.raises(VosError, match="names no video"):
        (tmp_path / "list.txt").write_text("# nothing\n")
        read_list(tmp_path / "list.txt")


def test_records_of_items_lie_beside_that_of_the_job(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "out", {})
    assert part_record(run, "a") == tmp_path / "out" / "manifests" / "a.jsonl"
    store = RunFolder.open(tmp_path / "s.zarr", {}, record=tmp_path / "s.zarr.manifest.jsonl")
    assert part_record(store, "a") == tmp_path / "s.zarr.manifests" / "a.jsonl"
