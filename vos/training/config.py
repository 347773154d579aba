"""Every choice of a training run, with its default, and the YAML files that set them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vos.errors import MissingError, UsageError, near_names
from vos.training.contrastive_config import CHOICES, ContrastiveConfig, contrastive_rules
from vos.training.photometric import Photometric

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true")


@dataclass
class DataConfig:
    """What to train on. ``cache`` is memory, disk (mapped files) or device (the accelerator)."""

    paths: list[str] = field(default_factory=list)
    short_side: int = 256
    cache: str = "memory"
    cache_folder: str | None = None  # null: a folder of the cache of vos
    workers: int = 2
    gap: int = 30  # frames of a pair are 1 to this many apart
    photo_share: float | None = None  # share of pairs made from one photo; null: as photos : clips
    weights: dict[str, float] = field(default_factory=dict)  # name pattern -> how often, from 1


@dataclass
class CropConfig:
    """Square crops. Shares are of the shorter side of the frame; ``jitter`` is the largest
    difference between the two crops of a pair, as a share of the crop."""

    size: int = 128
    share_min: float = 0.5
    share_max: float = 1.0
    jitter: float = 0.0
    photo_jitter: float = 0.0
    flip: float = 0.5


@dataclass
class AugmentationConfig:
    """The warp of the objective. ``validity`` leaves out tokens that the warp pushed outside."""

    mode: str = "roll"
    strength: float = 0.05
    validity: bool = False
    photometric: Photometric = field(default_factory=Photometric)


@dataclass
class ModelConfig:
    """Any spec that ``vos.load`` knows, and the initial radius of the sphere of features."""

    backbone: str = "resnet18"
    radius: float = 12.0


@dataclass
class OptimiserConfig:
    """``schedule`` is constant or cosine, after ``warm_up`` steps; ``clip`` 0 clips nothing."""

    name: str = "adamw"
    rate: float = 1e-3
    radius_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0
    schedule: str = "constant"
    warm_up: int = 0
    clip: float = 20.0
    accumulate: int = 1


@dataclass
class ObjectiveConfig:
    """``name`` is icon or contrastive.

    Of ICON, ``symmetric`` averages over all eight round trips that the four draws of a pair allow.
    ``pool`` is how many pairs share their tokens: a round trip may get lost in the frames of the
    others too, so that features tell apart what never stands in one picture.
    ``inverse_consistency`` and ``random_walk`` weigh that loss and the one of the contrastive
    random walk (CRW) over the same warped pairs, so that the two can be compared and combined; the
    walk has a ``temperature`` and an ``edge_dropout`` of its own.
    """

    name: str = "icon"
    symmetric: bool = False
    pool: int = 1
    inverse_consistency: float = 1.0
    random_walk: float = 0.0
    temperature: float = 0.05
    edge_dropout: float = 0.1
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)


@dataclass
class EvaluationConfig:
    """A measure of the weights ``every`` so many steps (0: never) on a few sequences."""

    every: int = 0
    dataset: str = "sample"
    root: str | None = None
    year: int = 2017
    split: str | None = None
    sequences: list[str] | None = None
    preset: str = "default"
    settings: dict[str, str] = field(default_factory=dict)


@dataclass
class TrainConfig:
    """One training run. ``batch`` counts pairs in one step over all devices."""

    name: str = "custom"
    seed: int = 0
    steps: int = 1000
    minutes: float | None = None  # end the schedule after this time if the steps take longer
    batch: int = 8
    ema: float = 0.0  # decay of the averaged weights; 0 keeps none
    precision: str = "32-true"
    log_every: int = 10
    checkpoint_every: int = 100
    keep: int = 0  # keep a copy of the weights every so many steps; 0 keeps the last only
    data: DataConfig = field(default_factory=DataConfig)
    crop: CropConfig = field(default_factory=CropConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)


def shipped_configs() -> list[str]:
    """Names of the configs that come with vos."""
    folder = resources.files("vos.training") / "configs"
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_config(name: str, settings: Sequence[str] = ()) -> TrainConfig:
    """Read a shipped config or a YAML file, and change it by ``key=value`` settings.

    Raises:
        MissingError: a YAML file that does not exist.
        UsageError: unknown name, unknown key (near ones are offered) or a value of another type.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise MissingError(f"no config file at {path}; shipped: {', '.join(shipped_configs())}")
        text = path.read_text(encoding="utf-8")
    elif name in shipped_configs():
        folder = resources.files("vos.training") / "configs"
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise UsageError(f"unknown config {name!r}: {near_names(name, shipped_configs())}")
    try:
        values = OmegaConf.create(text)
        changes = OmegaConf.from_dotlist(_as_dotlist(settings))
    except Exception as error:
        raise UsageError(f"config {name} is not valid YAML: {_first_line(error)}") from error
    for part in (values, changes):
        _check_keys(OmegaConf.to_container(part))
    try:
        merged = OmegaConf.merge(OmegaConf.structured(TrainConfig), values, changes)
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if getattr(error, "full_key", None) else ""
        raise UsageError(f"config {name}: {key}{_first_line(error)}") from error
    assert isinstance(config, TrainConfig)
    check_config(config)
    return config


def config_text(config: TrainConfig) -> str:
    """The whole config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def check_config(config: TrainConfig) -> None:
    """Raise UsageError for values that make no sense."""
    rules = {
        "steps must be at least 1": config.steps >= 1,
        "minutes must be positive": config.minutes is None or config.minutes > 0,
        "batch must be at least 1": config.batch >= 1,
        "batch must be a multiple of optimiser.accumulate": config.optimiser.accumulate >= 1
        and config.batch % config.optimiser.accumulate == 0,
        "batch must be a multiple of optimiser.accumulate times objective.pool": (
            config.objective.pool >= 1
            and config.batch % max(1, config.optimiser.accumulate * config.objective.pool) == 0
        ),
        "objective.inverse_consistency and .random_walk must not be negative, nor both 0": (
            min(config.objective.inverse_consistency, config.objective.random_walk) >= 0
            and max(config.objective.inverse_consistency, config.objective.random_walk) > 0
        ),
        "ema must be at least 0 and below 1": 0 <= config.ema < 1,
        "log_every and checkpoint_every must be at least 1": config.log_every >= 1
        and config.checkpoint_every >= 1,
        "evaluation.every must not be negative": config.evaluation.every >= 0,
        "data.gap must be at least 1": config.data.gap >= 1,
        "data.photo_share must be between 0 and 1": config.data.photo_share is None
        or 0 <= config.data.photo_share <= 1,
        "crop.size must be at least 16": config.crop.size >= 16,
        "crop needs 0 < share_min <= share_max <= 1": 0
        < config.crop.share_min
        <= config.crop.share_max
        <= 1,
        "model.radius must be positive": config.model.radius > 0,
        "optimiser.rate must be positive": config.optimiser.rate > 0,
        **contrastive_rules(config.objective.contrastive),
    }
    for message, holds in rules.items():
        if not holds:
            raise UsageError(f"config {config.name}: {message}")
    for key, value, known in (
        ("precision", config.precision, PRECISIONS),
        ("data.cache", config.data.cache, ("memory", "disk", "device")),
        ("objective.name", config.objective.name, ("icon", "contrastive")),
        ("optimiser.name", config.optimiser.name, ("adamw", "rmsprop", "sgd")),
        ("optimiser.schedule", config.optimiser.schedule, ("constant", "cosine")),
        ("augmentation.mode", config.augmentation.mode, ("none", "affine", "center", "roll")),
        *(
            (f"objective.contrastive.{name}", getattr(config.objective.contrastive, name), choices)
            for name, choices in CHOICES.items()
        ),
    ):
        if value not in known:
            raise UsageError(
                f"config {config.name}: unknown {key} {value!r}: {near_names(value, known)} "
                f"(one of {', '.join(known)})"
            )


def _as_dotlist(settings: Sequence[str]) -> list[str]:
    for setting in settings:
        if "=" not in setting or setting.startswith("="):
            raise UsageError(f"--set {setting}: write key=value, as in --set steps=500")
    return list(settings)


def _check_keys(values: Any) -> None:
    if not isinstance(values, dict):
        raise UsageError("a config is a mapping of keys to values")
    known = set(_keys(TrainConfig))
    for name, value in values.items():
        inner = sorted(key for key in known if key.startswith(f"{name}."))
        if inner and not isinstance(value, dict):
            raise UsageError(f"config key {name!r} holds others: set {', '.join(inner)}")
    free = ("data.weights", "evaluation.settings")  # mappings whose keys are the user's
    for key in _given_keys(values, free):
        if key not in known:
            raise UsageError(f"unknown config key {key!r}: {near_names(key, sorted(known))}")


def _keys(kind: type, prefix: str = "") -> Iterator[str]:
    for item in dataclasses.fields(kind):
        yield prefix + item.name
        default = item.default_factory
        if isinstance(default, type) and dataclasses.is_dataclass(default):
            yield from _keys(default, f"{prefix}{item.name}.")


def _given_keys(values: Any, free: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        yield key
        if isinstance(value, dict) and key not in free:
            yield from _given_keys(value, free, f"{key}.")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
