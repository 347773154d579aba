"""Label-propagation protocols by name, ours and published ones, each a `PropagationConfig`.

A published preset reproduces the masks of its source's own code for the same features and first
mask: `fmicon` in the centre square, which is all that its source looks at (it leaves the first
mask as it was on both sides of it).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from vos.errors import UsageError, near_names
from vos.propagation.config import PropagationConfig


@dataclass(frozen=True)
class Preset:
    """A named configuration and where it comes from."""

    config: PropagationConfig
    source: str


_DEFAULT = PropagationConfig(
    short_side=480,
    enlarge=2,
    small_object=64,
    resampling="area",
    recent=20,
    spacing="growing",
    early="count",
    window="circle",
    radius=12,
    annotated_in_window=True,
    annotated_count=3,
    motion_sigma=6,
    motion="flow",
    classifier=0.5,  # learnt features, their colours and the classifier count alike
    classifier_recent=0.25,  # so annotated frames count three times here, too
    classifier_motion=True,
    keep_topology=True,
    neighbours=10,
    temperature=0.05,
    sharpness=2,
    grid_to_mask="guided",
)

PRESETS: dict[str, Preset] = {
    "default": Preset(
        _DEFAULT, "vos: the best on the development sequences; 480 lines, 720 for small objects"
    ),
    "fast": Preset(
        dataclasses.replace(_DEFAULT, short_side=360, small_object=0),
        "vos: `default` on 360 lines, in about 70 % of the time",
    ),
    "thorough": Preset(
        dataclasses.replace(_DEFAULT, spacing="every", small_object=0),
        "vos: all of the last 20 frames as context, on 480 lines",
    ),
    "fine": Preset(
        _DEFAULT.finer(),
        "vos: `default` on a grid of tokens half as fine again, for small and thin objects",
    ),
    "crw": Preset(
        PropagationConfig(),
        "Jabri et al., Space-Time Correspondence as a Contrastive Random Walk, 2020 (test.py)",
    ),
    "walk": Preset(
        PropagationConfig(recent=1, early="skip", window="circle", restart=0.5),
        "vos: a random walk with restart (Tong et al., Fast Random Walk with Restart, 2006) from "
        "frame to frame, home to the annotated ones with probability .5",
    ),
    "dino": Preset(
        PropagationConfig(
            short_side=480,
            rounding="floor-long",
            multiple=64,
            recent=7,
            early="skip",
            window="square",
            radius=12,
            annotated_in_window=True,
            neighbours=5,
            temperature=0.1,
            mask_to_grid="nearest",
            grid_to_mask="bilinear-then-nearest",
            min_max=True,
        ),
        "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021 "
        "(eval_video_segmentation.py)",
    ),
    "dinov3": Preset(
        PropagationConfig(
            short_side=960,
            rounding="up",
            resampling="bicubic",
            recent=7,
            early="skip",
            window="circle",
            radius=12,
            annotated_in_window=True,
            neighbours=5,
            temperature=0.2,
            mask_to_grid="nearest",
            grid_to_mask="nearest",
            min_max=True,
        ),
        "Siméoni et al., DINOv3, 2025 (segmentation_tracking notebook)",
    ),
    "vfs": Preset(
        PropagationConfig(
            short_side=480,
            recent=20,
            early="count",
            annotated_in_window=True,
            neighbours=10,
            temperature=0.07,
            mask_to_grid="nearest",
            min_max=True,
        ),
        "Xu & Wang, Rethinking Self-supervised Correspondence Learning, 2021 (VanillaTracker; "
        "ResNet-18, for ResNet-50 set radius=18)",
    ),
    "dul": Preset(
        PropagationConfig(mask_to_grid="bilinear-corners", grid_to_mask="bilinear-corners"),
        "Araslanov et al., Dense Unsupervised Learning for Video Segmentation, 2021 (infer_vos.py)",
    ),
    "fmicon": Preset(
        PropagationConfig(
            short_side=120,
            recent=0,
            early="skip",
            window="everywhere",
            neighbours=1,
            mask_to_grid="nearest",
            grid_to_mask="nearest",
        ),
        "Greer, Feature Map Inverse Consistency, 2023 (the first frame only, best match anywhere; "
        "a quarter of 480 lines)",
    ),
}


def preset(name: str) -> PropagationConfig:
    """Return the configuration called ``name``.

    Raises:
        UsageError: there is none of that name (near names are offered).
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}: {near_names(name, PRESETS)}")
    return PRESETS[name].config
