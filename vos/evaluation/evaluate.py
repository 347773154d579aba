"""The main job: segment a data set, score the masks, write tables and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.datasets import Dataset, Sequence, open_dataset
from vos.errors import VosError
from vos.evaluation.report import write_report
from vos.evaluation.results import check_truth, scored_sequences
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results
from vos.evaluation.tables import table_paths, write_tables
from vos.files import as_path, write_json
from vos.machine import describe, device_name, resolve_device, versions
from vos.media import Video
from vos.media.images import image_size
from vos.propagation import preset as find_preset
from vos.runs.folder import RECORD, RunFolder
from vos.runs.job import Summary, check_names, part_record, run_job
from vos.runs.model import Model, spec_of
from vos.runs.paths import Input, Output, check_paths
from vos.scheduling import Executor, LocalExecutor, Task
from vos.segmentation.run import is_written
from vos.segmentation.to_files import OpenSegmenter, VideoJob, from_first_mask, run_settings
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    import torch

    from vos.backbones.adapt import Network

METRICS = "metrics.json"
RUN = "run.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Evaluation:
    """Scores (None where there is no truth), and the record that `vos eval --json` prints."""

    scores: Scores | None
    record: dict[str, Any]


def evaluate(
    dataset: str | Dataset = "sample",
    out: str | Path | None = None,
    *,
    root: str | Path | None = None,
    year: int = 2017,
    split: str | None = None,
    sequences: Iterable[str] | None = None,
    model: str | Path | Network = DEFAULT_MODEL,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    device: str | torch.device = "auto",
    executor: Executor | None = None,
    precision: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    report: bool = True,
) -> Evaluation:
    """Segment ``dataset`` into ``out``, score it, and write metrics.json, tables and report.html.

    Sequences that an earlier run with the same settings finished are not done again. Where nothing
    but the first masks of objects is published, there are masks and no scores.

    >>> vos.evaluate("davis", root="DAVIS", model="timm:vit_small_patch14_dinov2").record["J&F"]
    ...

    Args:
        dataset: ``sample``, ``davis``, ``youtube-vos``, or an opened data set.
        out: folder of the results; see `results_folder` for where they go otherwise.
        root, year, split, sequences: for a data set by name, see `vos.open_dataset`.
        model: what `vos.load` takes, or any network (see `vos.as_backbone`).
        preset: name of the protocol.
        settings: choices of the protocol that are changed, by name.
        precision: of the network; see `FeatureExtractor`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``, where no ``executor`` has one of its own.
        executor: who segments the sequences; None does it here, one after another.

    Raises:
        UsageError: an unknown data set, model, preset, setting or precision, ``out`` holds
            another run, or an output is an input.
        MissingError: a frame has no true mask to score by; nothing is segmented then.
        VosError: ``out`` cannot be written, or a frame or mask cannot be read: what can be told
            without decoding all of them is told before anything is segmented.
    """
    config = find_preset(preset).with_settings(dict(settings or {}))
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, root=root, year=year, split=split, sequences=sequences)
    out = results_folder(dataset, model, preset) if out is None else as_path(out, "out")
    place = resolve_device(executor.device if executor else str(device))
    check_names(sequence.name for sequence in dataset)
    check_paths(
        dataset_inputs(dataset),
        [
            Output("the results", out, folder=True),
            Output("the record of the run", out / RECORD),
            *(
                Output(f"the masks of {each.name}", out / dataset.masks_folder / each.name, True)
                for each in dataset
            ),
        ],
    )
    check_dataset(dataset)
    chosen = Model.choose(model, seed=seed, precision=precision).resolved(place)
    check_paths(chosen.inputs(), [Output("the results", out, folder=True)])
    results = [out / RUN, out / METRICS, out / REPORT, *table_paths(out, dataset.split)]
    run = RunFolder.open(
        out,
        {
            "command": "evaluate",
            "dataset": dataset.name,
            "split": dataset.split,
            "preset": preset,
            **run_settings(chosen, config),
            "device": place.type,
        },
        overwrite=overwrite,
        outputs=results,
    )
    run.check(results)
    summary = _segment(
        dataset, run, chosen, config, executor or LocalExecutor(str(place)), overwrite=overwrite
    )
    run.write(write_json, out / RUN, _described(run, summary))
    summary.raise_failures("sequence", hint="; the others are done")
    scores = score_results(out, dataset) if scored_sequences(dataset) else None
    if scores is not None:
        with run.writing(*table_paths(out, dataset.split)):
            write_tables(out, scores)
    record = {
        **_figures(dataset, summary, scores),
        "masks": str(out / dataset.masks_folder),
        "dataset": dataset.name,
        "split": dataset.split,
        "model": chosen.spec,
        "preset": preset,
        "precision": summary.precision,
        "device": device_name(place),
    }
    run.write(write_json, out / METRICS, record)
    if report and scores is not None:
        with run.writing(out / REPORT):
            write_report(out, dataset, scores, run.settings, record["seconds"])
    return Evaluation(scores, record)


def results_folder(dataset: Dataset, model: str | Path | Network, preset: str) -> Path:
    """Return where results go by default: ``results/DATASET-SPLIT/MODEL-PRESET``."""
    name = spec_of(model)  # which may hold slashes, colons and commas
    plain = "".join(sign if sign.isalnum() or sign in "-_.=" else "-" for sign in name)
    return Path("results") / f"{dataset.name}-{dataset.split}" / f"{plain.strip('-.')}-{preset}"


def check_dataset(dataset: Dataset) -> None:
    """See, before hours of work, that ``dataset`` can be segmented and scored.

    Raises:
        MissingError: a frame has no true mask.
        VosError: frames of several sizes, a first mask that cannot be used, too few frames.
    """
    check_truth(dataset)
    for sequence in dataset:
        for path in sequence.frame_paths:
            height, width = image_size(path)
            if (height, width) != sequence.size:
                raise VosError(
                    f"{path} is {width} x {height} but the first frame of {sequence.name} is "
                    f"{sequence.size[1]} x {sequence.size[0]}: frames of a sequence must have one "
                    "size"
                )
        if not sequence.object_ids:
            raise VosError(
                f"{sequence.mask_paths[0]} is all background: the first mask of a sequence says "
                "what to follow"
            )


def dataset_inputs(dataset: Dataset) -> list[Input]:
    """Return the folders of a data set that are read, for `check_paths`.

    They are the folders of frames and masks, and those that hold these: a folder beside a sequence
    would be a sequence. The root itself may hold other things.
    """
    inputs: dict[Path, Input] = {}
    for sequence in dataset:
        for paths, what in (
            (sequence.mask_paths, f"the true masks of {dataset.name}"),
            (sequence.frame_paths, f"the frames of {dataset.name}"),
        ):
            folder = paths[0].parent
            inputs.setdefault(folder, Input(what, folder, files=paths))
            if folder.parent.resolve() != dataset.root.resolve():
                parent = Input(what, folder.parent, takes=_may_be_sequence)
                inputs.setdefault(folder.parent, parent)
    lists = dataset.root / "ImageSets"
    if lists.is_dir():
        inputs[lists] = Input(f"the lists of {dataset.name}", lists)
    return list(inputs.values())


def _may_be_sequence(name: str) -> bool:
    return Path(name).suffix not in (".csv", ".json", ".jsonl")


def _segment(
    dataset: Dataset,
    run: RunFolder,
    model: Model,
    config: Any,
    executor: Executor,
    *,
    overwrite: bool,
) -> Summary:
    """Write the masks of every sequence that is not done yet."""
    jobs = {}
    for sequence in map(_absolute, dataset):
        jobs[sequence.name] = VideoJob(
            partial(_open, sequence),
            run.place.absolute() / dataset.masks_folder / sequence.name,
            record=part_record(run, sequence.name).absolute(),
            overwrite=overwrite,
            reads=partial(_files, sequence),
        )
        run.part(jobs[sequence.name].out, part_record(run, sequence.name))
    frames = sum(map(len, dataset.sequences))
    return run_job(
        [Task(sequence.name, jobs[sequence.name], len(sequence)) for sequence in dataset],
        OpenSegmenter(run.record.absolute(), model, config, from_first_mask, frames),
        executor,
        run,
        is_done=lambda name: is_written(jobs[name], run.items[name]),
        description="segmenting",
        unit="frame",
    )


def _open(sequence: Sequence) -> tuple[Video, dict[int, np.ndarray]]:
    return sequence.video, sequence.first_masks()


def _files(sequence: Sequence) -> tuple[Path, ...]:
    """Return every file of a sequence, there or not."""
    return (*sequence.frame_paths, *sequence.mask_paths)


def _absolute(sequence: Sequence) -> Sequence:
    """Return a sequence for workers, which have working folders of their own."""
    return dataclasses.replace(
        sequence,
        frame_paths=tuple(path.absolute() for path in sequence.frame_paths),
        mask_paths=tuple(path.absolute() for path in sequence.mask_paths),
    )


def _described(run: RunFolder, summary: Summary) -> dict[str, Any]:
    """Return what run.json tells: settings, versions, machine, seconds of each sequence."""
    return {
        "settings": run.settings,
        "versions": versions(),
        "machine": describe(),
        "sequences": {name: result["seconds"] for name, result in summary.results.items()},
        "failed": {name: str(error) for name, error in summary.failures.items()},
    }


def _figures(dataset: Dataset, summary: Summary, scores: Scores | None) -> dict[str, Any]:
    """Return the figures of a finished run; timings are those of the workers, added up, and
    include sequences that earlier calls finished."""
    timings = [result["seconds"] for result in summary.results.values()]
    stages = {
        stage: round(sum(timing.get(stage, 0.0) for timing in timings), 3)
        for stage in ("features", "propagation")
    }
    segmenting = sum(timing["total"] for timing in timings)
    scoring = scores.seconds if scores else 0.0
    frames = sum(map(len, dataset.sequences))
    return {
        **(scores.as_dict() if scores else {}),
        **summary.to_dict(),
        "seconds": {
            **stages,
            "scoring": round(scoring, 3),
            "total": round(segmenting + scoring, 3),
        },
        "fps": round(frames / segmenting, 3),
    }
