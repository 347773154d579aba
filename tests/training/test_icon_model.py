"""One step of ICON: which tokens are compared with which."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

import vos
from vos.backbones.layers.colour import ColourDescriptor
from vos.errors import UsageError
from vos.objectives import RoundTrip, inverse_consistency_dense, random_walk_loss, tokens
from vos.training import TrainConfig
from vos.training.augmentation import Draw, draw, unwarp
from vos.training.config import check_config
from vos.training.icon import IconModel, StepDraws
from vos.training.photometric import Photometric

SIZE = (32, 32)
PAIRS = 4


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4 * PAIRS, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def drawn() -> Draw:
    return draw("roll", 4 * PAIRS, SIZE, torch.Generator().manual_seed(2))


def model(config: TrainConfig, pool: int) -> IconModel:
    config = dataclasses.replace(
        config,
        objective=dataclasses.replace(config.objective, pool=pool, symmetric=False),
        augmentation=dataclasses.replace(config.augmentation, validity=False),
    )
    return IconModel(vos.load("unet-short-64,stride=4", seed=3), config).eval()


def test_pooled_pairs_compete_with_one_another(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    icon = model(tiny_config, 2)
    with torch.no_grad():
        loss = icon(images, drawn)["loss"]
        features = icon.sphere(unwarp(icon.backbone(images), drawn, SIZE))
    pairs = [part.split(2) for part in tokens(features).chunk(4)]
    expected = [
        -inverse_consistency_dense(
            RoundTrip(*(torch.cat(list(part[group]))[None] for part in pairs))
        ).mean()
        for group in range(2)
    ]
    assert loss == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)


def test_symmetric_is_the_mean_over_all_ways_of_the_draws(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    icon = model(tiny_config, 1)
    icon.config.objective.symmetric = True
    with torch.no_grad():
        loss = icon(images, drawn)["loss"]
        features = icon.sphere(unwarp(icon.backbone(images), drawn, SIZE))
    a_one, b_one, a_two, b_two = tokens(features).chunk(4)
    ways = [
        RoundTrip(*way)
        for a, other_a, b, other_b in (
            (a_one, a_two, b_one, b_two),
            (a_one, a_two, b_two, b_one),
            (a_two, a_one, b_one, b_two),
            (a_two, a_one, b_two, b_one),
        )
        for way in ((a, b, other_a, other_b), (b, a, other_b, other_a))
    ]
    means = [-float(inverse_consistency_dense(way).mean()) for way in ways]
    assert len({round(mean, 4) for mean in means}) == 8
    assert loss == pytest.approx(sum(means) / 8, rel=1e-5)


def test_colours_are_compared_beside_the_features(tiny_config: TrainConfig) -> None:
    tiny_config.objective.colour = 0.5
    icon = model(tiny_config, 1)
    generator = torch.Generator().manual_seed(4)
    crops = torch.randint(256, (2, tiny_config.batch, 3, *SIZE), generator=generator).byte()
    images, drawn, colours = icon.prepare(crops, 0, range(tiny_config.batch))
    with torch.no_grad():
        loss = icon(images, drawn, colours)["loss"]
        learnt = tokens(icon.sphere(unwarp(icon.backbone(images), drawn, SIZE))).chunk(4)
        seen = [tokens(ColourDescriptor(4)(crop.float() / 255)) for crop in crops]
        beside = [icon.sphere.radius * 0.5 * seen[index % 2] for index in range(4)]
        trip = RoundTrip(*(torch.cat(pair, 2) for pair in zip(learnt, beside, strict=True)))
        without = icon(images, drawn)["loss"]
    assert loss == pytest.approx(-float(inverse_consistency_dense(trip).mean()), rel=1e-5)
    assert loss < without  # noise has colours that say where one came from


def test_more_to_tell_apart_is_harder(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    with torch.no_grad():
        losses = [float(model(tiny_config, pool)(images, drawn)["loss"]) for pool in (1, 2, 4)]
    assert losses == sorted(losses)
    assert losses[0] < losses[2]


def test_a_pool_that_does_not_fit_is_refused(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    with pytest.raises(UsageError, match=r"objective\.pool=3"):
        model(tiny_config, 3)(images, drawn)


def weighted(config: TrainConfig, consistency: float, walk: float) -> IconModel:
    objective = dataclasses.replace(
        config.objective,
        inverse_consistency=consistency,
        random_walk=walk,
        edge_dropout=0.0,
        symmetric=False,
    )
    config = dataclasses.replace(
        config,
        objective=objective,
        augmentation=dataclasses.replace(config.augmentation, validity=False),
    )
    return IconModel(vos.load("unet-short-64,stride=4", seed=3), config).eval()


def test_the_random_walk_goes_over_the_four_draws_and_weights_add_up(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    walk, consistency, both = (
        weighted(tiny_config, *weights) for weights in ((0.0, 1.0), (1.0, 0.0), (2.0, 0.5))
    )
    with torch.no_grad():
        features = walk.sphere(unwarp(walk.backbone(images), drawn, SIZE))
        clips = torch.stack(tokens(features).chunk(4), dim=1)
        losses = [float(model(images, drawn)["loss"]) for model in (walk, consistency, both)]
    assert losses[0] == pytest.approx(float(random_walk_loss(clips, edge_dropout=0.0)), rel=1e-5)
    assert losses[2] == pytest.approx(2 * losses[1] + 0.5 * losses[0], rel=1e-5)


class Places(vos.Backbone):
    """A network that sees nothing: a unit vector per place, each at right angles to all others."""

    stride, channels = 4, 64

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.eye(64).view(1, 64, 8, 8).expand(len(images), -1, -1, -1)


def test_a_vector_per_place_is_perfect_without_augmentation_and_hopeless_with(
    tiny_config: TrainConfig, images: torch.Tensor
) -> None:
    """The source's attempts 0 and 1: loss 0, and a loss without bound."""
    losses = {}
    for mode in ("none", "affine", "roll"):
        generator = torch.Generator().manual_seed(2)
        drawn = draw(mode, 4 * PAIRS, SIZE, generator, strength=0.2)
        icon = with_augmentation(tiny_config, backbone=Places())
        icon.sphere.radius.data.fill_(12)
        with torch.no_grad():
            losses[mode] = float(icon(images, drawn)["loss"])
    assert losses["none"] == pytest.approx(0, abs=1e-4)
    assert losses["roll"] > losses["affine"] > 3 * math.log(64)  # chance has log 64


def test_without_the_sphere_lengths_are_kept(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    config = dataclasses.replace(
        tiny_config, model=dataclasses.replace(tiny_config.model, sphere=False)
    )
    icon = with_augmentation(config).eval()
    with torch.no_grad():
        seen = unwarp(icon.backbone(images), drawn, SIZE)
        kept = icon._back_on_the_sphere(icon.backbone(images), drawn, SIZE)
    torch.testing.assert_close(kept, seen * config.model.radius / 8)  # 64 channels
    assert len(list(icon.own_parameters())) == 1


def with_augmentation(
    config: TrainConfig, backbone: vos.Backbone | None = None, **options: object
) -> IconModel:
    augmentation = dataclasses.replace(config.augmentation, validity=False, **options)
    config = dataclasses.replace(config, augmentation=augmentation)
    return IconModel(backbone or vos.load("unet-short-64,stride=4", seed=3).train(), config)


def test_zeros_beyond_the_frame_stay_zeros(tiny_config: TrainConfig, images: torch.Tensor) -> None:
    """On a torus every token has the radius of the sphere; of zeros less is left at the border."""
    drawn = draw("affine", 4 * PAIRS, SIZE, torch.Generator().manual_seed(2), strength=0.3)
    lengths = {}
    for border in ("circular", "zeros"):
        icon = with_augmentation(tiny_config, border=border).eval()
        with torch.no_grad():
            features = icon._back_on_the_sphere(icon.backbone(images), drawn, SIZE)
        lengths[border] = features.norm(dim=1)
    radius = tiny_config.model.radius
    torch.testing.assert_close(lengths["circular"], torch.full_like(lengths["circular"], radius))
    assert lengths["zeros"].min() == 0
    assert lengths["zeros"].max() < radius + 1e-3


def test_draws_apart_are_normed_apart(
    tiny_config: TrainConfig, images: torch.Tensor, drawn: Draw
) -> None:
    apart, together = (with_augmentation(tiny_config, together=each) for each in (False, True))
    seen: list[int] = []
    apart.backbone.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    losses = [float(icon(images, drawn)["loss"].detach()) for icon in (apart, together)]
    assert seen == [PAIRS] * 4
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    with torch.no_grad():
        losses = [float(icon.eval()(images, drawn)["loss"]) for icon in (apart, apart)]
    assert losses[0] == losses[1]


def test_no_objective_at_all_is_refused(tiny_config: TrainConfig) -> None:
    objective = dataclasses.replace(tiny_config.objective, inverse_consistency=0.0)
    with pytest.raises(UsageError, match="not both be 0"):
        check_config(dataclasses.replace(tiny_config, objective=objective))


def test_pictures_are_warped_with_the_border_of_the_config(tiny_config: TrainConfig) -> None:
    crops = torch.full((2, tiny_config.batch, 3, 64, 64), 255, dtype=torch.uint8)
    least = {}
    for border in ("circular", "zeros"):
        options = {"mode": "affine", "strength": 0.3, "photometric": Photometric()}
        config = with_augmentation(tiny_config, border=border, **options).config
        images, _ = StepDraws.of(config, 0).augment(crops, range(config.batch))
        least[border] = float(images.min())
    assert least["circular"] == pytest.approx(1, abs=1e-5)
    assert least["zeros"] == 0
