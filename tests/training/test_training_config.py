"""Configs: shipped ones are valid, settings are checked, mistakes are told in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vos.errors import MissingError, UsageError
from vos.training.config import config_text, load_config, shipped_configs


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configs_are_valid_and_named_after_their_file(name: str) -> None:
    assert load_config(name).name == name


def test_every_config_of_the_story_is_shipped() -> None:
    tiny = {f"icon-{mode}-tiny" for mode in ("none", "affine", "center", "roll")}
    assert {"icon-original", "icon-resnet18", *tiny} <= set(shipped_configs())


def test_the_original_setting_is_the_published_one() -> None:
    config = load_config("icon-original")
    assert (config.crop.size, config.batch, config.data.gap) == (120, 64, 30)
    assert (config.optimiser.name, config.optimiser.rate, config.optimiser.clip) == (
        "rmsprop",
        1e-3,
        20,
    )
    assert config.model.radius == 12
    assert config.objective.floor == 1e-4
    assert config.crop.share_min * config.data.short_side == 240
    assert (config.augmentation.border, config.augmentation.together) == ("zeros", False)
    assert config.model.backbone == "unet-short-64,center=true"


def test_the_original_contrastive_setting_is_the_published_one() -> None:
    config = load_config("cmc-original")
    epochs = config.steps * config.batch / 1_281_167  # photos of the training set of ImageNet
    assert epochs == pytest.approx(240, rel=1e-3)
    assert [round(240 * drop) for drop in config.optimiser.drops] == [120, 160, 200]
    assert config.optimiser.schedule == "steps"
    assert (config.crop.uniform, config.crop.share_max) == ("area", 1)
    assert config.crop.share_min**2 == pytest.approx(0.2, abs=1e-3)
    assert config.objective.contrastive.negatives == 16384


def test_settings_change_keys_at_any_depth() -> None:
    config = load_config("icon-resnet18", ["steps=7", "crop.size=64", "data.weights={a*: 0.5}"])
    assert (config.steps, config.crop.size, config.data.weights["a*"]) == (7, 64, 0.5)


def test_a_yaml_file_and_its_own_text_give_the_same(tmp_path: Path) -> None:
    config = load_config("icon-resnet18", ["seed=4"])
    path = tmp_path / "mine.yaml"
    path.write_text(config_text(config), encoding="utf-8")
    assert load_config(str(path)) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["crop.sice=3"], "unknown config key 'crop.sice': did you mean crop.size"),
        (["crop.size=big"], "crop.size"),
        (["steps"], "write key=value"),
        (["steps=0"], "steps must be at least 1"),
        (["batch=6", "optimiser.accumulate=4"], "multiple of optimiser.accumulate"),
        (["optimiser.name=adam"], "did you mean adamw"),
        (["augmentation.mode=rol"], "did you mean roll"),
        (["crop.share_min=0.9", "crop.share_max=0.5"], "share_min"),
        (["data.photo_share=2"], "photo_share"),
        (["model=3"], "model"),
        (["precision=fp16"], "unknown precision 'fp16'"),
        (["precision=bf16_mixed"], "did you mean bf16-mixed"),
        (["optimiser.rate=.nan"], "optimiser.rate must be a finite number"),
        (["optimiser.schedule=step"], "did you mean steps"),
        (["optimiser.drops=[0.5,2]"], "optimiser.drops must be shares"),
        (["augmentation.border=zero"], "did you mean zeros"),
        (["crop.uniform=sides"], "did you mean side"),
        (["objective.floor=2"], "objective.floor must be between 0 and 1"),
        (["objective.temperature=0"], "objective.temperature must be above 0"),
        (["augmentation.photometric.blur=-1"], "photometric.blur must be between 0 and 1"),
        (["crop.jitter=-0.1"], "crop.jitter must be at least 0"),
        (["data.workers=-1"], "data.workers must be at least 0"),
        (["data.weights={a: -1}"], "data.weights"),
        (["precision=fp16"], "32-true, bf16-mixed, 16-mixed, bf16-true"),
        (["data.cache=ram"], "known: memory, disk, device, none"),
    ],
)
def test_mistakes_are_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config("icon-resnet18", settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean icon-resnet18"):
        load_config("icon-resnet19")
    with pytest.raises(MissingError, match="no config file"):
        load_config(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("steps: [1", encoding="utf-8")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_config(str(tmp_path / "bad.yaml"))
    (tmp_path / "list.yaml").write_text("- 1", encoding="utf-8")
    with pytest.raises(UsageError, match="mapping"):
        load_config(str(tmp_path / "list.yaml"))


def test_a_name_that_is_not_utf8_is_told_in_a_line() -> None:
    config = load_config("icon-roll-tiny")
    config.data.paths = [os.fsdecode(b"caf\xe9")]
    with pytest.raises(UsageError, match=r"cannot hold 'caf\\udce9', which is not UTF-8"):
        config_text(config)
