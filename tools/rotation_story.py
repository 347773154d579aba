"""What users of equivariant networks ask: which blur, and does it hold on a video that is turned?

    python tools/rotation_story.py blur
    python tools/rotation_story.py video --out turned-video.jpg
    python tools/rotation_story.py orientation

``blur``: a halving of the resolution after Gaussians, binomial filters and none: how far it keeps
turns by 45 degrees and shifts by a pixel. ``video``: a clip and the same clip turned by 90 degrees
have the same masks, pixel for pixel, with ``rotation-unet-c4``, and not with ``resnet18``.
``orientation``: how far an object has turned, read from the vectors of its tokens.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import vos
from vos.analysis.transformations import Transformation
from vos.backbones.layers.antialiased import BlurPool
from vos.cli.exit_codes import exit_cleanly
from vos.datasets.sample import open_sample
from vos.media import write_image
from vos.media.drawing import overlay
from vos.runs.folder import check_owned, write_owned

SIDE = 129  # odd at each of four halvings, so that one set of taps is asked for
SEEDS = range(6)
FILTERS = {
    "none (stride alone)": [1.0],
    "Tri-3": [1.0, 2.0, 1.0],
    "Bin-5": [1.0, 4.0, 6.0, 4.0, 1.0],
    "Gaussian .66 (5 taps)": BlurPool(0.66).odd.tolist(),
    "Gaussian 1 (7 taps)": BlurPool(1.0).odd.tolist(),
}
CLIP, FRAMES = "table", 12
OWNER = "rotation story"  # in the record beside the picture
NETWORKS = ("rotation-unet-c4", "resnet18")
SEEN = 16  # pixels, about what a token of two levels sees to each side
TURN = Transformation("rotation", 45.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=["blur", "video", "orientation"])
    parser.add_argument("--out", type=Path, default=Path("turned-video.jpg"), help="of video")
    arguments = parser.parse_args()
    if arguments.part == "blur":
        print(blur_table())
    elif arguments.part == "video":
        check_owned(OWNER, arguments.out)
        for line in turned_video(arguments.out):
            print(line, flush=True)
    else:
        print(orientation_table())


def pictures(side: int = SIDE) -> Tensor:
    """The middle of the first frame of each clip of the sample: (6, 3, side, side) in [0, 1]."""
    found = []
    for sequence in open_sample().sequences:
        frame = sequence.frame(0)
        top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
        found.append(frame[top : top + side, left : left + side])
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def blur_table() -> str:
    """Errors of one halving, and of a whole network of C8, a line per filter."""
    lines = [
        "| filter | a halving: turned by 45 degrees | shifted by a pixel | `rotation-unet-c8`: "
        "turned by 45 degrees (lowest, highest) | shifted by a pixel |",
        "|---|---|---|---|---|",
    ]
    whole = pictures(SIDE + 1)
    for name, taps in FILTERS.items():
        pool = blur(taps)
        turned, shifted = errors(pool, whole, 2)
        seeds = [errors(network(taps, seed), whole, 4) for seed in SEEDS]
        angles, steps = (sorted(values) for values in zip(*seeds, strict=True))
        lines.append(
            f"| {name} | {turned:.1e} | {shifted:.1e} | {median(angles):.3f} "
            f"({angles[0]:.3f}, {angles[-1]:.3f}) | {median(steps):.3f} |"
        )
    return "\n".join(lines)


def blur(taps: list[float]) -> BlurPool:
    """A halving after a filter, for odd sides."""
    pool = BlurPool()
    pool.odd = torch.tensor(taps) / sum(taps)
    return pool


def network(taps: list[float], seed: int) -> vos.Backbone:
    """A UNet of C8 with random weights that halves after a filter."""
    backbone = vos.load("rotation-unet-c8", seed=seed)
    for module in backbone.modules():
        if isinstance(module, BlurPool):
            module.odd = blur(taps).odd
    return backbone


def errors(layer: torch.nn.Module, whole: Tensor, stride: int) -> tuple[float, float]:
    """Squared errors, relative to the variance, after a turn and after a shift by a pixel.

    Features of the shifted picture lie between those of the picture (``1 / stride`` of a token
    further), and are compared with what cubic interpolation gives there.
    """
    picture, moved = whole[..., :-1, :-1], whole[..., :-1, 1:]
    plain = layer(picture)
    rows, columns = plain.shape[-2:]
    turned = TURN.apply(plain, stride, (rows, columns))
    shifted = torch.nn.functional.grid_sample(
        plain, _further(len(plain), rows, columns, 1 / stride), mode="bicubic", align_corners=False
    )
    return (
        relative(turned, layer(TURN.apply(picture, 1, (picture.shape[-2], picture.shape[-1])))),
        relative(shifted, layer(moved)),
    )


def _further(batch: int, rows: int, columns: int, tokens: float) -> Tensor:
    """Places of ``grid_sample`` that lie ``tokens`` to the right of each token."""
    still = torch.nn.functional.affine_grid(
        torch.eye(2, 3).expand(batch, 2, 3), [batch, 1, rows, columns], align_corners=False
    )
    return still + torch.tensor([2 * tokens / columns, 0.0])


def relative(expected: Tensor, found: Tensor) -> float:
    """Squared error in the middle of the maps, relative to the variance of each channel."""
    margin = expected.shape[-1] // 4
    middle = (..., slice(margin, -margin), slice(margin, -margin))
    spread = expected[middle].var(dim=(0, 2, 3), correction=0).sum()
    return float((expected - found)[middle].square().mean(dim=(0, 2, 3)).sum() / spread)


def median(values: list[float]) -> float:
    return float(np.median(values))


def turned_video(out: Path) -> Iterator[str]:
    """Carry masks through a clip and through the clip turned; yield what they have in common.

    Writes a picture: for each network the last masks of the clip, those of the turned clip turned
    back, and where they differ (white).
    """
    (sequence,) = open_sample(sequences=[CLIP]).sequences
    frames = np.stack([sequence.frame(index) for index in range(FRAMES)])
    rows = []
    for spec in NETWORKS:
        backbone = vos.load(spec)
        plain = carried(frames, sequence.mask(0), backbone)
        turned = carried(
            np.rot90(frames, axes=(1, 2)).copy(), np.rot90(sequence.mask(0)).copy(), backbone
        )
        back = np.rot90(turned, -1, axes=(1, 2))
        same = float((plain == back)[1:].mean())
        yield f"{spec}: {same:.4%} of the pixels of {FRAMES - 1} frames have the same label"
        differ = np.repeat(255 * (plain[-1] != back[-1])[..., None], 3, axis=2).astype(np.uint8)
        rows.append([overlay(frames[-1], plain[-1]), overlay(frames[-1], back[-1]), differ])
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    write_owned(OWNER, out, lambda path: write_image(path, picture))


def carried(frames: np.ndarray, first: np.ndarray, backbone: vos.Backbone) -> np.ndarray:
    """Masks (T, H, W) of all frames by the preset crw."""
    found = vos.propagate(frames, {0: first}, model=backbone, preset="crw")
    return np.stack([mask for _, _, mask in found])


@torch.inference_mode()
def orientation_table() -> str:
    """The angle read from an object's vectors beside the true one, for C4 and C8."""
    angles = [0, 15, 30, 45, 60, 90, 135, 180, 270]
    lines = ["| turned by | " + " | ".join(f"{angle}°" for angle in angles) + " |"]
    lines.append("|---" * (len(angles) + 1) + "|")
    for group in ("c4", "c8"):
        backbone = vos.load(f"rotation-unet-{group},output=vector,levels=2")
        vectors = [object_vectors(backbone, angle) for angle in angles]
        read = [angle_between(vectors[0], each) % 360 for each in vectors]
        cells = " | ".join(f"{value:.1f}°" for value in read)
        lines.append(f"| `rotation-unet-{group}` | {cells} |")
    return "\n".join(lines)


def object_vectors(backbone: vos.Backbone, angle: float) -> Tensor:
    """Mean vectors (fields, 2) of a disc that has turned before a background that has not.

    The mean is over the tokens that see the disc alone.
    """
    one, background = pictures()[1:3]
    turned = Transformation("rotation", angle).apply(one[None], 1, (SIDE, SIDE))[0]
    place = torch.arange(SIDE) - (SIDE - 1) / 2
    distance = torch.hypot(place[:, None], place[None])
    disc = distance <= SIDE / 3
    features = backbone(torch.where(disc, turned, background)[None])[0]  # (2 fields, h, w)
    seeing = (distance <= SIDE / 3 - SEEN).numpy().astype(np.uint8)
    inside = cv2.resize(seeing, features.shape[:0:-1]) > 0
    return features[:, torch.from_numpy(inside)].mean(dim=1).view(-1, 2)


def angle_between(first: Tensor, second: Tensor) -> float:
    """Degrees, counter-clockwise, that turn the vectors ``first`` into ``second`` best."""
    cross = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum()
    return math.degrees(math.atan2(float(cross), float((first * second).sum())))


if __name__ == "__main__":
    with exit_cleanly("rotation_story"):
        main()
