"""The Python interface guards its input as the command line does: one line, always a VosError."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vos
from vos.datasets import open_dataset
from vos.errors import InvalidResultsError, UsageError, VosError
from vos.evaluation.evaluate import evaluate
from vos.evaluation.score import score_to_files

VIDEO = np.zeros((3, 24, 32, 3), np.uint8)
MASK = np.zeros((24, 32), np.uint8)
MASK[5:12, 5:12] = 1
CHEAP: dict[str, Any] = {"model": "lab,stride=4", "device": "cpu"}
DEFAULT = vos.preset("default")


def changed(**values: Any) -> Callable[[], object]:
    return lambda: dataclasses.replace(DEFAULT, **values)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: vos.open_video("x" * 300), "the video is no path: File name too long"),
        (lambda: vos.open_video(""), "the video is a path, not an empty text"),
        (lambda: vos.open_video("a\0b"), "the video is no path: embedded null"),
        (lambda: vos.propagate(VIDEO, {0: "x" * 300}), "mask of frame 0 is no path"),
        (lambda: vos.propagate(VIDEO, {0: torch.from_numpy(MASK).to_sparse()}), "is no array"),
        (lambda: vos.propagate(VIDEO, {0: MASK}, engine="triton", **CHEAP), "for CUDA devices"),
        (lambda: vos.preset({}), "unknown preset {}"),
        (lambda: vos.Propagator("default"), "config is a PropagationConfig"),
        (lambda: vos.Propagator(None), "not of type NoneType"),
        (changed(radius="x"), "radius must be a number, not 'x'"),
        (changed(recent=1.5), "recent must be a whole number, not 1.5"),
        (changed(classifier="x"), "classifier must be a number"),
        (changed(sharpness=None), "sharpness must be a number, not None"),
        (lambda: DEFAULT.with_settings({"sharpness": None}), "sharpness must be a number"),
        (lambda: vos.open_features(5), "the features is a path, not of type int"),
        (lambda: vos.open_features(b"x"), "not of type bytes"),
        (lambda: vos.export_features("a.mp4", 3, model="lab"), "out is a path, not of type int"),
        (
            lambda: vos.export_features(3, "a.npz", model="lab"),
            "a video is a path, not of type int",
        ),
        (lambda: vos.export_features(["a.mp4", 3], "a.zarr", model="lab"), "a video is a path"),
        (lambda: open_dataset("davis", root=5), "root is a path, not of type int"),
        (lambda: open_dataset("sample", sequences=5), "a list of names, not of type int"),
        (lambda: open_dataset("sample", sequences="no-such"), "no sequence 'no-such'"),
        (lambda: score_to_files(5, open_dataset("sample")), "the results is a path"),
        (
            lambda: evaluate(open_dataset("sample"), 5, model="lab", device=torch.device("cpu")),
            "out is a path, not of type int",
        ),
    ],
)
def test_what_makes_no_sense_is_told(call: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError) as told:
        call()
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_of_results_may_be_given_as_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidResultsError, match=r"there is no results folder .*no-such"):
        score_to_files(str(tmp_path / "no-such"), open_dataset("sample"))


@pytest.mark.parametrize("folder", [5, b"x", "a\0b", "m" * 300])
def test_the_folder_of_a_session_is_a_path(folder: Any) -> None:
    with pytest.raises(UsageError, match="the folder of a session"):
        vos.Session(VIDEO, model=None, folder=folder)


def test_frames_of_a_session_are_whole_numbers() -> None:
    with vos.Session(VIDEO, **CHEAP) as session:
        session.annotate(0, MASK)
        for index in (None, "0", 1.5, -1):
            for call in (session.mask, session.mask_path, session.has_mask, session.clear):
                with pytest.raises(UsageError, match="frame"):
                    call(index)
        with pytest.raises(UsageError, match="has no frame 99"):
            session.clear(99)
        for part in ({"first": "0"}, {"last": "x"}, {"first": 1.5}):
            with pytest.raises(VosError, match="is no frame index"):
                session.plan(**part)
        assert session.mask(0).sum() == MASK.sum()
