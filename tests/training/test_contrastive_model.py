"""One step of CMC through the loop: which scores, which memory, and exact resumption."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from runs import assert_same_run, losses, two_processes
from torch import Tensor
from torch.nn import functional

import vos
from vos.datasets.clips import find_clips, load_clips
from vos.errors import UsageError
from vos.training import TrainConfig, load_config, train
from vos.training.augmentation import unwarp, warp
from vos.training.contrastive import ContrastiveModel
from vos.training.pairs import PairLoader, PairSampler

BACKBONE = "cmc-resnet18,stem=3,stem_stride=1,width=0.125,dim=8,stride=4"
BATCH = 4


@pytest.fixture
def config(clips_folder: Path) -> TrainConfig:
    """Six steps over 18 frames and 2 photos, with a memory bank and NCE."""
    settings = [
        "name=tiny", "steps=6", f"batch={BATCH}", "crop.size=16", "data.gap=3", "log_every=1",
        "checkpoint_every=2", f"model.backbone={BACKBONE}", "objective.contrastive.negatives=8",
        "objective.contrastive.loss=nce", "optimiser.warm_up=2", "optimiser.rate=1e-3",
    ]  # fmt: skip
    config = load_config("cmc-alexnet", settings)
    config.data.paths = [str(clips_folder)]
    return config


def changed(config: TrainConfig, backbone: str = BACKBONE, **choices: object) -> TrainConfig:
    contrastive = dataclasses.replace(config.objective.contrastive, **choices)  # type: ignore[arg-type]
    return dataclasses.replace(
        config,
        objective=dataclasses.replace(config.objective, contrastive=contrastive),
        model=dataclasses.replace(config.model, backbone=backbone),
    )


def ready(config: TrainConfig) -> tuple[ContrastiveModel, tuple[Tensor, ...]]:
    """A model that has seen its data, and the inputs of the first step."""
    model = ContrastiveModel(vos.load(config.model.backbone, seed=1), config).eval()
    clips = load_clips(find_clips([Path(path) for path in config.data.paths]), short_side=64)
    sampler = PairSampler(clips, config.data, config.crop, seed=0)
    model.begin(sampler, torch.device("cpu"), 0, 1)
    crops = PairLoader(clips, sampler, workers=1, frames=model.frames).load(range(BATCH))
    return model, model.prepare(crops, 0, range(BATCH))


@torch.no_grad()
@pytest.mark.parametrize("draw", ["batch", "sample"])
def test_the_loss_is_the_published_one(config: TrainConfig, draw: str) -> None:
    """Both directions: z of one view against the memory of the other, Z from the first batch."""
    model, (images, scenes, negatives, _) = ready(changed(config, draw=draw))
    assert negatives.shape == ((8,) if draw == "batch" else (BATCH, 8))
    model.train()
    for module in model.modules():  # so that embeddings do not depend on the batch's order
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    memories = [bank.kept.clone() for bank in model.banks]
    z = [model.backbone.embed(view, images[0]) for view in range(2)]
    expected = 0.0
    for one, other in ((0, 1), (1, 0)):
        ids = torch.cat([scenes[:, None], negatives.expand(BATCH, 8)], dim=1)
        critic = torch.exp(
            torch.einsum("bd,bkd->bk", z[one], memories[other][ids]) / model.choices.temperature
        )
        partition = critic.mean() * model.population
        data, noise = critic / partition, 8 / model.population
        right = torch.cat([data[:, :1], noise * torch.ones(BATCH, 8)], dim=1)
        expected -= float((right / (data + noise)).log().sum(1).mean())
    found = model(images, scenes, negatives, [])
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-4)
    assert model.population == 20
    mixed = functional.normalize(0.5 * memories[0][scenes[-1]] + 0.5 * z[0][-1], dim=0)
    torch.testing.assert_close(model.banks[0].kept[scenes[-1]], mixed)


def test_z_is_kept_from_the_first_batch_or_follows_the_mean(config: TrainConfig) -> None:
    for partition in ("first", "mean"):
        model, inputs = ready(changed(config, partition=partition, partition_momentum=0.5))
        model.train()
        model(*inputs)
        first = model.log_partition.clone()
        assert first.isfinite().all()
        model(*inputs)
        assert torch.equal(model.log_partition, first) == (partition == "first")


@torch.no_grad()
def test_in_batch_negatives_are_the_other_scenes(config: TrainConfig) -> None:
    model, (images, scenes, negatives, _) = ready(changed(config, negatives=0, loss="softmax"))
    assert not model.banks
    scenes = torch.arange(BATCH)
    one, two = (model.backbone.embed(view, images[0]) for view in range(2))
    logits = one @ two.T / model.choices.temperature
    expected = functional.cross_entropy(logits, scenes) + functional.cross_entropy(logits.T, scenes)
    assert float(model(images, scenes, negatives, [])["loss"]) == pytest.approx(
        float(expected), rel=1e-4
    )


def of_places(one: Tensor, two: Tensor, temperature: float) -> Tensor:
    """The symmetric softmax loss of two maps (B, dim, h, w), each place against all others."""
    rows = [each.permute(0, 2, 3, 1).flatten(0, 2) for each in (one, two)]
    logits, places = rows[0] @ rows[1].T / temperature, torch.arange(len(rows[0]))
    return functional.cross_entropy(logits, places) + functional.cross_entropy(logits.T, places)


@torch.no_grad()
def test_tokens_of_the_same_place_are_positives(config: TrainConfig) -> None:
    config.augmentation = dataclasses.replace(config.augmentation, mode="none")
    chosen = changed(config, negatives=0, loss="softmax", level="tokens")
    model, inputs = ready(chosen)
    maps = [model.backbone.tokens(view, inputs[0][0]) for view in range(2)]
    expected = of_places(*maps, model.choices.temperature)
    assert float(model(*inputs)["loss"]) == pytest.approx(float(expected), rel=1e-4)
    some, inputs = ready(changed(config, negatives=6, loss="softmax", level="tokens"))
    assert float(some(*inputs)["bound"]) < 1.8  # log 6
    assert not some.banks


@torch.no_grad()
def test_each_view_is_warped_by_itself_and_its_tokens_are_taken_back(config: TrainConfig) -> None:
    config.augmentation = dataclasses.replace(config.augmentation, mode="roll")
    model, inputs = ready(changed(config, negatives=0, loss="softmax", level="tokens"))
    images, _, _, warps = inputs
    assert not torch.equal(warps[0].shift, warps[1].shift)
    maps = []
    for view, warped in enumerate(warps):
        seen = model.backbone.tokens(view, warp(images[0], warped))
        maps.append(functional.normalize(unwarp(seen, warped, (16, 16)), dim=1))
    expected = of_places(*maps, model.choices.temperature)
    assert float(model(*inputs)["loss"]) == pytest.approx(float(expected), rel=1e-4)


def test_the_graph_decides_how_many_terms(config: TrainConfig) -> None:
    three = BACKBONE + ",views=L+ab+edges"
    core, _ = ready(changed(config, three))
    full, _ = ready(changed(config, three, graph="full"))
    assert core.directions == [(0, 1), (0, 2), (1, 0), (2, 0)]
    assert len(full.directions) == 6


def test_the_neighbouring_frame_is_a_view(config: TrainConfig) -> None:
    model, (images, *_) = ready(changed(config, BACKBONE + ",views=L+next-L"))
    assert model.frames == 2
    assert images.shape == (2, BATCH, 3, 16, 16)
    assert not torch.equal(images[0], images[1])


@pytest.mark.parametrize(
    ("backbone", "choices", "message"),
    [
        ("resnet18", {}, "backbone of several views"),
        (BACKBONE + ",views=L", {"negatives": 0}, "single view"),
        (BACKBONE + ",views=L+next-L", {"level": "tokens"}, "same frame"),
        (BACKBONE + ",pool=2", {"level": "tokens"}, "pool=1"),
    ],
)
def test_what_makes_no_sense_is_told(
    config: TrainConfig, backbone: str, choices: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ready(changed(config, backbone, **choices))
    config.augmentation = dataclasses.replace(config.augmentation, mode="center")
    with pytest.raises(UsageError, match="none, affine or roll"):
        ready(changed(config, level="tokens"))
    with pytest.raises(UsageError, match="did you mean full"):
        load_config("cmc-alexnet", ["objective.contrastive.graph=ful"])


def test_a_run_that_died_goes_on_exactly_with_its_memory(
    config: TrainConfig, tmp_path: Path
) -> None:
    whole = train(config, tmp_path / "whole", device="cpu").run
    assert set(losses(whole)) == set(range(1, 7))
    config.evaluation = dataclasses.replace(config.evaluation, every=5)

    def die(_: object) -> dict[str, float]:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        train(config, tmp_path / "broken", device="cpu", evaluate=die)
    config.evaluation = dataclasses.replace(config.evaluation, every=0)
    again = train(config, tmp_path / "broken", device="cpu")
    assert_same_run(whole, again.run)
    backbone = vos.load(str(again.weights))
    assert backbone(torch.rand(1, 3, 20, 24)).shape == (1, 64, 5, 6)


def test_a_memory_of_other_data_is_refused(
    config: TrainConfig, clips_folder: Path, tmp_path: Path
) -> None:
    train(dataclasses.replace(config, steps=2), tmp_path / "run", device="cpu")
    longer = dataclasses.replace(config, steps=3)
    clips = load_clips(find_clips([clips_folder / "photos"]), short_side=64)
    with pytest.raises(UsageError, match="training data has changed"):
        train(longer, tmp_path / "run", device="cpu", clips=clips)


@pytest.mark.slow
@pytest.mark.parametrize("negatives", [8, 0])
def test_two_processes_give_the_loss_of_one(
    config: TrainConfig, negatives: int, tmp_path: Path
) -> None:
    """The bank in two shards, or negatives from the batches of both."""
    config = changed(dataclasses.replace(config, steps=3), negatives=negatives)
    config.optimiser = dataclasses.replace(config.optimiser, name="sgd", rate=1e-3, warm_up=0)
    alone = losses(train(config, tmp_path / "alone", device="cpu").run)
    together = losses(two_processes(config, tmp_path))
    for step, tolerance in ((1, 1e-5), (2, 1e-4), (3, 1e-3)):
        assert together[step] == pytest.approx(alone[step], rel=tolerance)
    states = [torch.load(tmp_path / run / "state.pt") for run in ("alone", "two")]
    for name, rows in states[0]["memory"].items():
        torch.testing.assert_close(states[1]["memory"][name], rows, rtol=1e-3, atol=1e-3)
    assert bool(states[0]["memory"]) == bool(negatives)


@torch.no_grad()
def test_a_bilinear_critic_begins_as_the_product_and_has_a_matrix_for_each_pair(
    config: TrainConfig,
) -> None:
    """z1' W z2 in both directions, with the rest of the batch as negatives."""
    config = changed(config, loss="softmax", negatives=0)
    dot, inputs = ready(config)
    bilinear, _ = ready(changed(config, critic="bilinear"))
    plain = bilinear(*inputs)["loss"]
    assert float(plain) == pytest.approx(float(dot(*inputs)["loss"]), rel=1e-6)
    (matrix,) = bilinear.own_parameters()
    matrix += torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    one, two = (bilinear.backbone.embed(view, inputs[0][0]) for view in range(2))
    scores = one @ matrix @ two.T / config.objective.contrastive.temperature
    truth = torch.arange(BATCH)
    again = (inputs[1][:, None] == inputs[1]) & ~torch.eye(BATCH, dtype=torch.bool)
    scores = scores.masked_fill(again, -torch.inf)  # a scene is no negative of itself
    expected = functional.cross_entropy(scores, truth) + functional.cross_entropy(scores.T, truth)
    assert float(bilinear(*inputs)["loss"]) == pytest.approx(float(expected), rel=1e-5)


def test_the_matrix_of_the_critic_is_trained_and_kept(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(config, critic="bilinear", loss="softmax", negatives=0)
    run = train(dataclasses.replace(config, steps=2), tmp_path / "run", device="cpu").run
    matrix = torch.load(run / "state.pt")["model"]["bilinear.0-1"]
    assert 1e-5 < float((matrix - torch.eye(8)).abs().max()) < 0.1
