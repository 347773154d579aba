"""Every choice of a training run, with its default, and the YAML files that set them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import takewhile
from pathlib import Path

from omegaconf import OmegaConf

from vos.errors import MissingError, UsageError, near_names
from vos.settings import read_settings, setting_keys, setting_value
from vos.training.contrastive_config import CHOICES, ContrastiveConfig, contrastive_rules
from vos.training.photometric import Photometric
from vos.training.precision import PRECISIONS

LOGGERS = ("tensorboard", "csv", "wandb")
CACHES = ("memory", "disk", "device", "none")


@dataclass
class DataConfig:
    """What to train on.

    ``cache`` is where decoded clips are kept: memory, disk (mapped files), device (the
    accelerator) or none (frames are decoded as they are needed, for sets that fit nowhere).
    """

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
    """Square crops. Shares are of the shorter side of the frame; ``uniform`` is what is drawn
    uniformly: the logarithm of the ``side``, or the ``area`` itself. ``jitter`` is the largest
    difference between the two crops of a pair, as a share of the crop."""

    size: int = 128
    uniform: str = "side"
    share_min: float = 0.5
    share_max: float = 1.0
    jitter: float = 0.0
    photo_jitter: float = 0.0
    flip: float = 0.5


@dataclass
class AugmentationConfig:
    """The warp of the objective. ``validity`` leaves out tokens that the warp pushed outside.

    ``border`` is what lies beyond the frame: ``circular``, its other side, or ``zeros``, as in the
    published code. ``together`` runs the network on the four draws of a step at once, so that batch
    norm and centring see all of them; the published code runs it on each.
    """

    mode: str = "roll"
    border: str = "circular"
    together: bool = True
    strength: float = 0.05
    validity: bool = False
    photometric: Photometric = field(default_factory=Photometric)


@dataclass
class ModelConfig:
    """Any spec that ``vos.load`` knows, and the initial radius of the sphere of features.

    Without ``sphere`` features keep their lengths, and the radius is a factor that is trained.
    ``checkpointing`` runs the blocks of the network again in the backward pass, which takes a third
    more time and much less memory.
    """

    backbone: str = "resnet18"
    radius: float = 12.0
    sphere: bool = True
    checkpointing: bool = False


@dataclass
class OptimiserConfig:
    """``schedule`` is constant, cosine or steps, after ``warm_up`` steps; ``clip`` 0 clips nothing.

    With ``steps`` the rate is divided by 10 when each of the shares ``drops`` of the run is over.
    ``radius_rate`` is the rate of what an objective trains beside the network: the radius, the
    matrices of a bilinear critic, decoders; they have no weight decay.
    """

    name: str = "adamw"
    rate: float = 1e-3
    radius_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0
    schedule: str = "constant"
    drops: list[float] = field(default_factory=list)
    warm_up: int = 0
    clip: float = 20.0
    accumulate: int = 1


@dataclass
class ObjectiveConfig:
    """``name`` is icon, contrastive or predictive (cross-view prediction, over the same views).

    Of ICON, ``symmetric`` averages over all eight round trips that the four draws of a pair allow.
    ``floor`` is added to the probability of return before its logarithm is taken: 0 is the text
    of the method, 1e-4 its published code.
    ``pool`` is how many pairs share their tokens: a round trip may get lost in the frames of the
    others too, so that features tell apart what never stands in one picture.
    ``inverse_consistency`` and ``random_walk`` weigh that loss and the one of the contrastive
    random walk (CRW) over the same warped pairs, so that the two can be compared and combined; the
    walk has a ``temperature`` and an ``edge_dropout`` of its own.
    ``colour`` is the weight of a descriptor of the colours before any augmentation that tokens are
    compared by, too, as ``colour`` of a backbone is when its features are used: they learn what
    colours do not tell.
    """

    name: str = "icon"
    symmetric: bool = False
    floor: float = 0.0
    pool: int = 1
    inverse_consistency: float = 1.0
    random_walk: float = 0.0
    temperature: float = 0.05
    edge_dropout: float = 0.1
    colour: float = 0.0
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
    precision: str = "32-true"  # or bf16-mixed, 16-mixed, bf16-true; the loss is in float32
    compile: bool = False  # torch.compile the network; pays on a GPU
    loggers: list[str] = field(default_factory=lambda: ["tensorboard"])  # csv and wandb too
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
    """Return the names of the configs that come with vos."""
    folder = resources.files("vos.training") / "configs"
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def describe_configs() -> dict[str, str]:
    """Return what each shipped config is for: the comment that its file begins with."""
    folder = resources.files("vos.training") / "configs"
    found = {}
    for name in shipped_configs():
        lines = (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        comment = takewhile(lambda line: line.startswith("#"), lines)
        found[name] = " ".join(line.removeprefix("#").strip() for line in comment)
    return found


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
    config = read_settings(
        TrainConfig,
        name=f"config {name}",
        text=text,
        changes=settings,
        free=("data.weights", "evaluation.settings"),
    )
    check_config(config)
    return config


def choose_config(
    config: str | Path | TrainConfig,
    *,
    data: Sequence[str | Path] | None = None,
    settings: Sequence[str] = (),
    seed: int | None = None,
) -> TrainConfig:
    """Return a config by name, or the one given, with what a run changes of it.

    Args:
        data: videos, or folders of videos, frames or photos, instead of ``data.paths``.
        settings: ``key=value``, for a config by name.
        seed: of weights, pairs and draws, instead of ``seed``.

    Raises:
        UsageError: see `load_config`; ``settings`` for a config that was read already.
    """
    if isinstance(config, TrainConfig):
        if settings:
            raise UsageError("`settings` change a config by name: set the fields of a TrainConfig")
        chosen = copy.deepcopy(config)
    else:
        chosen = load_config(str(config), settings)
    if data:
        chosen.data.paths = [str(path) for path in data]
    if seed is not None:
        chosen.seed = seed
    return chosen


def run_folder(config: TrainConfig) -> Path:
    """Return the folder of a run by default: ``runs/NAME``."""
    return Path("runs") / config.name


def config_text(config: TrainConfig) -> str:
    """Return the whole config as YAML.

    Raises:
        UsageError: a value cannot be written, as the name of a file that is not UTF-8.
    """
    try:
        return OmegaConf.to_yaml(OmegaConf.structured(config))
    except UnicodeEncodeError as error:
        raise UsageError(
            f"config {config.name}: a file of YAML cannot hold {error.object!r}, which is not "
            "UTF-8: give it another name, or use a link to it"
        ) from error


# What numbers may be; keys that are null are passed over.
_AT_LEAST = {
    **dict.fromkeys(("steps", "batch", "log_every", "checkpoint_every"), 1),
    **dict.fromkeys(("data.gap", "objective.pool", "optimiser.accumulate"), 1),
    **dict.fromkeys(("keep", "evaluation.every", "data.workers", "seed"), 0),
    **dict.fromkeys(("crop.size", "data.short_side"), 16),
    **dict.fromkeys(("crop.jitter", "crop.photo_jitter", "augmentation.strength"), 0),
    **dict.fromkeys(("optimiser.weight_decay", "optimiser.warm_up", "optimiser.clip"), 0),
    **dict.fromkeys(("objective.inverse_consistency", "objective.random_walk"), 0),
    "objective.colour": 0,
    **{
        f"augmentation.photometric.{name}": 0
        for name in ("brightness", "contrast", "saturation", "hue")
    },
}
_ABOVE_ZERO = (
    "minutes",
    "model.radius",
    "optimiser.rate",
    "objective.temperature",
)
_SHARES = (
    "data.photo_share",
    "crop.flip",
    "objective.floor",
    "augmentation.photometric.grayscale",
    "augmentation.photometric.blur",
)
_BELOW_ONE = ("ema", "optimiser.momentum", "objective.edge_dropout")
_NAMES = {
    "precision": PRECISIONS,
    "data.cache": CACHES,
    "objective.name": ("icon", "contrastive", "predictive"),
    "optimiser.name": ("adamw", "rmsprop", "sgd"),
    "optimiser.schedule": ("constant", "cosine", "steps"),
    "crop.uniform": ("side", "area"),
    "augmentation.mode": ("none", "affine", "center", "roll"),
    "augmentation.border": ("circular", "zeros"),
    **{f"objective.contrastive.{name}": choices for name, choices in CHOICES.items()},
}


def check_config(config: TrainConfig) -> None:
    """Raise UsageError for values that make no sense."""
    for message, holds in _rules(config):
        if not holds:
            raise UsageError(f"config {config.name}: {message}")
    for key, known in _NAMES.items():
        value = setting_value(config, key)
        if value not in known:
            hint = near_names(value, known)
            if not hint.startswith("known"):
                hint += f" (known: {', '.join(known)})"
            raise UsageError(f"config {config.name}: unknown {key} {value!r}: {hint}")


def _rules(config: TrainConfig) -> Iterator[tuple[str, bool]]:
    """Yield what must hold, and whether it does."""
    values = {key: setting_value(config, key) for key in setting_keys(TrainConfig)}
    numbers = {key: x for key, x in values.items() if isinstance(x, (int, float))}
    for key, number in numbers.items():
        yield f"{key} must be a finite number", math.isfinite(number)
    for key, least in _AT_LEAST.items():
        yield f"{key} must be at least {least}", numbers[key] >= least
    for key in _ABOVE_ZERO:
        yield f"{key} must be above 0", numbers.get(key, 1) > 0
    for key in _SHARES:
        yield f"{key} must be between 0 and 1", 0 <= numbers.get(key, 0) <= 1
    for key in _BELOW_ONE:
        yield f"{key} must be at least 0 and below 1", 0 <= numbers[key] < 1
    parts, objective, crop = config.optimiser.accumulate, config.objective, config.crop
    yield "batch must be a multiple of optimiser.accumulate", config.batch % parts == 0
    yield (
        "batch must be a multiple of optimiser.accumulate times objective.pool",
        config.batch % (parts * objective.pool) == 0,
    )
    yield (
        "objective.inverse_consistency and .random_walk must not both be 0",
        max(objective.inverse_consistency, objective.random_walk) > 0,
    )
    yield (
        "crop needs 0 < share_min <= share_max <= 1",
        0 < crop.share_min <= crop.share_max <= 1,
    )
    yield (
        "data.weights must be finite numbers of at least 0",
        all(0 <= weight < math.inf for weight in config.data.weights.values()),
    )
    yield (
        "optimiser.drops must be shares between 0 and 1",
        all(0 <= drop <= 1 for drop in config.optimiser.drops),
    )
    yield (
        f"loggers are some of {', '.join(LOGGERS)}",
        set(config.loggers) <= set(LOGGERS),
    )
    yield from contrastive_rules(objective.contrastive).items()
