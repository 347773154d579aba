"""The loop: it learns, writes weights that load, and resumes exactly however it was stopped."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import assert_same_run, killed_at, losses, start, two_processes, wait_for_step, weights

import vos
from vos.datasets import open_dataset
from vos.errors import UsageError, VosError
from vos.training import TrainConfig, train
from vos.training.config import EvaluationConfig, load_config


def test_a_run_writes_metrics_and_weights_that_load(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    trained = train(tiny_config, tmp_path / "run", device="cpu")
    assert trained.steps == 6
    assert sorted(losses(trained.run)) == [1, 2, 3, 4, 5, 6]
    backbone = vos.load(str(trained.weights))
    assert backbone(torch.rand(1, 3, 24, 32)).shape == (1, 8, 6, 8)
    untrained = vos.load(tiny_config.model.backbone).state_dict()
    assert not torch.equal(untrained["head.0.weight"], backbone.state_dict()["head.0.weight"])
    assert any((trained.run / "tensorboard").iterdir())


def test_the_loss_goes_down(tiny_config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config, steps=30, log_every=1, checkpoint_every=30)
    found = losses(train(config, tmp_path / "run", device="cpu").run)
    first = sum(found[step] for step in range(1, 6))
    last = sum(found[step] for step in range(26, 31))
    assert last < 0.95 * first


def test_a_run_that_died_goes_on_exactly(tiny_config: TrainConfig, tmp_path: Path) -> None:
    whole = train(tiny_config, tmp_path / "whole", device="cpu").run
    config = dataclasses.replace(tiny_config, evaluation=EvaluationConfig(every=5))

    def die(_: object) -> dict[str, float]:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        train(config, tmp_path / "broken", device="cpu", evaluate=die)
    assert sorted(losses(tmp_path / "broken")) == [1, 2, 3, 4]
    again = train(tiny_config, tmp_path / "broken", device="cpu")  # from the state of step 4
    assert again.steps == 6
    assert_same_run(whole, again.run)


@pytest.mark.slow
def test_resumes_exactly_after_kill_9_and_after_ctrl_c(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny_config, steps=24, checkpoint_every=3)
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert start(config, whole, tmp_path).wait(timeout=100) == 0

    killed_at(5, config, run, tmp_path)

    interrupted = start(config, run, tmp_path)
    wait_for_step(run, 9)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(timeout=60) == 130
    assert 9 <= len(losses(run)) < 24

    assert start(config, run, tmp_path).wait(timeout=100) == 0
    assert_same_run(whole, run)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["roll", "center"])
def test_two_processes_give_the_loss_of_one(
    mode: str, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny_config, steps=4)
    config.augmentation.mode = mode
    config.model.backbone = "unet-short-64,stride=4,center=true"
    config.crop.size = 16
    # Not Adam: it takes full steps along gradients that are rounding errors around zero, as
    # those of biases before a norm, so that two orders of summing drift apart.
    config.optimiser = dataclasses.replace(config.optimiser, name="sgd", rate=1e-3, warm_up=0)
    alone = losses(train(config, tmp_path / "alone", device="cpu").run)

    together = losses(two_processes(config, tmp_path))
    assert sorted(together) == sorted(alone) == [1, 2, 3, 4]
    # Rounding doubles or more with every step; a batch norm or a gradient that is not shared shows
    # in the first two by percents.
    for step, tolerance in ((1, 1e-5), (2, 1e-4), (3, 1e-3), (4, 1e-3)):
        assert together[step] == pytest.approx(alone[step], rel=tolerance)


def test_accumulation_sees_the_same_pairs(tiny_config: TrainConfig, tmp_path: Path) -> None:
    """Without batch norm's dependence on the batch, two halves give the step of the whole."""
    config = dataclasses.replace(tiny_config, steps=1)
    config.optimiser = dataclasses.replace(config.optimiser, accumulate=2, clip=0.0)
    trained = train(config, tmp_path / "run", device="cpu")
    assert 0 < trained.metrics["loss"] < 20
    assert "gradient_norm" not in trained.metrics


def test_a_time_limit_ends_the_schedule(tiny_config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config, steps=10_000, minutes=0.02)
    trained = train(config, tmp_path / "run", device="cpu")
    assert trained.steps < 1000
    assert trained.metrics["rate"] < 0.5 * config.optimiser.rate
    again = train(config, tmp_path / "run", device="cpu")  # finished: nothing is left to do
    assert again.steps == trained.steps


def test_another_config_is_refused_and_overwrite_starts_over(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(tiny_config, run, device="cpu")
    changed = dataclasses.replace(tiny_config, steps=2, seed=5)
    with pytest.raises(UsageError, match=r"another seed .*steps \(6, now 2\).*`overwrite=True`"):
        train(changed, run, device="cpu")
    quicker = dataclasses.replace(tiny_config, log_every=7)
    assert train(quicker, run, device="cpu").steps == 6
    train(changed, run, device="cpu", overwrite=True)
    assert sorted(losses(run)) == [1, 2]


def test_a_folder_of_something_else_is_left_alone(tiny_config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match=r"holds files of something else \(thesis\.txt\)"):
        train(tiny_config, tmp_path, device="cpu")
    (tmp_path / "state.pt").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match=r"state\.pt is there and is not of this run"):
        train(tiny_config, tmp_path, device="cpu", overwrite=True)
    for name in ("thesis.txt", "state.pt"):
        assert (tmp_path / name).read_text(encoding="utf-8") == "precious"


def test_a_damaged_state_is_told(tiny_config: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(dataclasses.replace(tiny_config, steps=1), run, device="cpu")
    (run / "state.pt").write_bytes(b"half of a file")
    with pytest.raises(VosError, match=r"state\.pt cannot be read"):
        train(dataclasses.replace(tiny_config, steps=1), run, device="cpu")


def test_evaluation_and_kept_weights(tiny_config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config, evaluation=EvaluationConfig(every=3), keep=4)
    seen: list[bool] = []

    def evaluate(backbone: vos.Backbone) -> dict[str, float]:
        seen.append(backbone.training)
        return {"J&F": 0.5}

    trained = train(config, tmp_path / "run", device="cpu", evaluate=evaluate)
    assert seen == [False, False]
    rows = (trained.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["step"] for row in rows if "J&F" in row] == [3, 6]
    assert (trained.run / "weights-000004" / "model.safetensors").is_file()


def test_j_and_f_go_to_the_metrics(tiny_config: TrainConfig, tmp_path: Path) -> None:
    pytest.importorskip("vos.evaluation.evaluate")
    one = open_dataset("sample").sequences[0].name
    evaluation = EvaluationConfig(every=2, sequences=[one], settings={"short_side": "60"})
    config = dataclasses.replace(tiny_config, steps=2, evaluation=evaluation)
    trained = train(config, tmp_path / "run", device="cpu")
    assert 0 < trained.metrics["J&F"] < 1


def test_what_cannot_be_trained_is_told(tiny_config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config)
    config.augmentation.mode = "center"
    with pytest.raises(UsageError, match="center=true"):
        train(config, tmp_path / "center", device="cpu")
    config.model.backbone = "lab"
    with pytest.raises(UsageError, match="nothing to train"):
        train(config, tmp_path / "lab", device="cpu")


@pytest.mark.parametrize("mode", ["none", "affine", "center", "roll"])
def test_each_tiny_config_makes_a_step(mode: str, clips_folder: Path, tmp_path: Path) -> None:
    settings = ["steps=1", "batch=2", "crop.size=32"]
    config = load_config(f"icon-{mode}-tiny", settings)
    config.data.paths = [str(clips_folder)]
    trained = train(config, tmp_path / mode, device="cpu")
    assert trained.metrics["loss"] >= 0  # without any augmentation it may be 0 from the start
    assert trained.metrics["gradient_norm"] < float("inf")


def test_a_run_whose_config_lacks_newer_keys_goes_on(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    run = train(dataclasses.replace(tiny_config, steps=1), tmp_path / "run", device="cpu").run
    record = run / "manifest.jsonl"
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    (older,) = [line["settings"] for line in lines if "settings" in line]
    del older["precision"], older["objective"]["contrastive"]
    record.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    again = train(dataclasses.replace(tiny_config, steps=1), run, device="cpu")
    assert again.steps == 1


def test_a_finished_run_can_be_lengthened_and_says_where_it_goes_on(
    tiny_config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short = dataclasses.replace(tiny_config, steps=2, loggers=["csv"])
    run = train(short, tmp_path / "run", device="cpu").run
    with caplog.at_level(logging.INFO, logger="vos"):
        longer = train(dataclasses.replace(short, steps=3), run, device="cpu")
    assert longer.steps == 3
    assert sorted(losses(run)) == [1, 2, 3]
    assert "resumed at step 2 of 3" in caplog.text
    assert re.search(r"step 3 of 3, loss \d+\.\d+, .* pairs per second", caplog.text)
    with pytest.raises(UsageError, match=r"another steps \(3, now 2\)"):
        train(short, run, device="cpu")
    with (run / "csv" / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    assert [float(row["loss"]) for row in rows] == list(losses(run).values())


def test_the_best_weights_are_kept_beside_the_last(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(
        tiny_config, steps=3, checkpoint_every=1, evaluation=EvaluationConfig(every=1)
    )
    seen: list[dict[str, torch.Tensor]] = []
    scores = iter(np.array([0.3, 0.6, 0.5]))  # numbers of numpy, as measures often are

    def evaluate(backbone: vos.Backbone) -> dict[str, float]:
        seen.append(backbone.state_dict())
        return {"J&F": next(scores)}

    run = train(config, tmp_path / "run", device="cpu", evaluate=evaluate).run
    assert train(config, run, device="cpu").metrics["J&F"] == 0.5  # the state can be read again
    best = vos.load(str(run / "weights-best")).state_dict()
    assert all(torch.equal(best[key], seen[1][key]) for key in best)
    assert not torch.equal(weights(run)["head.0.weight"], best["head.0.weight"])


def test_frames_decoded_on_demand_and_listed_in_a_file_give_the_same_run(
    tiny_config: TrainConfig, clips_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "clips.txt").write_text(f"# all of it\n{clips_folder}\n", encoding="utf-8")
    plain = dataclasses.replace(tiny_config, steps=2)
    data = dataclasses.replace(plain.data, cache="none", paths=[str(tmp_path / "clips.txt")])
    one = train(plain, tmp_path / "one", device="cpu").run
    two = train(dataclasses.replace(plain, data=data), tmp_path / "two", device="cpu").run
    assert_same_run(one, two)
