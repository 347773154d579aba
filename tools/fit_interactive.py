"""Fit the network that reads clicks and boxes, to objects in pictures of other data sets.

    python tools/fit_interactive.py DATA --backgrounds PHOTOS --views VIEWS --steps 3000

DATA holds a folder for each data set (see `object_views.py`), PHOTOS any photos without masks,
VIEWS is a folder for the features of views, which are made once. A step shows the network one
click more on each of a few views: at first as `points_protocol.py` would, then on its own errors.

The weights that come with vos are those of 38,000 steps (``--seed 1``), 79 minutes of one processor
core, with 20,653 views of two draws (seeds 0 and 1) in one folder, each of half of the photos of
DUTS, a third of those of cats, and all others.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from object_views import View, draw_views, load_view, read_photos, save_view
from points_protocol import depths, iou, next_click
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, max_pool2d

from vos.cli.exit_codes import exit_cleanly
from vos.segmentation import make_extractor
from vos.segmentation.click_network import WEIGHTS, ClickNetwork
from vos.segmentation.cues import CellBox, FrameCues, Place

MODELS = ("icon-resnet18", "icon-compact", "icon-compact")  # whose features views have, in turn
BATCH = 8
RATE = 1e-3
WARM_UP = 300  # steps
AVERAGED = 0.998  # of the weights so far is kept at each step
BOXES, MASKS = 0.3, 0.2  # shares of tries that begin with a box, or with a mask to correct
EDGES = 2.0  # weight of cells at the border of an object, beyond that of others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--views", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=38000)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    if not options.views.is_dir():
        make_views(options.data, options.backgrounds, options.views, generator)
    network = ClickNetwork.load(options.start) if options.start else ClickNetwork()
    fit(network, sorted(options.views.glob("*.npz")), options.steps, options.out, generator)


def make_views(data: Path, backgrounds: Path, out: Path, generator: np.random.Generator) -> None:
    out.mkdir(parents=True)
    photos = read_photos(data, generator)
    behind = sorted(p for p in backgrounds.iterdir() if p.suffix in (".jpg", ".png"))
    extractors = {model: make_extractor(model) for model in MODELS}
    views = draw_views(photos, behind, [extractors[model] for model in MODELS], generator)
    for number, view in enumerate(views):
        save_view(view, out / f"{number:05d}.npz")


def fit(
    network: ClickNetwork,
    paths: Sequence[Path],
    steps: int,
    out: Path,
    generator: np.random.Generator,
) -> None:
    """Fit a network, and write the running mean of its weights."""
    network.train().to(memory_format=torch.channels_last)
    mean = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    began, seen = time.monotonic(), []
    for step, tries in enumerate(rounds(paths, generator)):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, step / WARM_UP, 2 * (1 - step / steps))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(*planes_of(tries))
        logits = logits.float()
        loss = loss_of(logits, torch.from_numpy(np.stack([a_try.shares for a_try in tries])))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        follow(mean, network, min(AVERAGED, (2 + step) / (11 + step)))
        for a_try, before in zip(tries, torch.sigmoid(logits.detach()).numpy(), strict=True):
            a_try.before = before
            seen.append(iou(before > 0.5, a_try.truth))
        if step % 100 == 99 or step == steps - 1:
            minutes = (time.monotonic() - began) / 60
            print(f"step {step + 1}, {minutes:.0f} min: mean IoU {np.mean(seen):.3f}", flush=True)
            seen = []
            mean.save(out)
        if step == steps - 1:
            return


def follow(mean: torch.nn.Module, network: torch.nn.Module, kept: float) -> None:
    with torch.no_grad():
        pairs = zip(mean.state_dict().values(), network.state_dict().values(), strict=True)
        for average, value in pairs:
            if average.is_floating_point():
                average.lerp_(value, 1 - kept)
            else:
                average.copy_(value)


def loss_of(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross entropy, more of it at borders and on small objects, and what IoU lacks of 1."""
    edges = max_pool2d(shares, 5, 1, 2) + max_pool2d(-shares, 5, 1, 2)
    each = binary_cross_entropy_with_logits(logits, shares, reduction="none")
    size = shares.mean((1, 2)).clamp(min=0.03).sqrt()
    entropy = 0.4 * (each * (1 + EDGES * edges)).mean((1, 2)) / size
    labels = torch.sigmoid(logits)
    both = (labels * shares).sum((1, 2))
    return (entropy + 1 - both / ((labels + shares).sum((1, 2)) - both)).mean()


@dataclass
class Try:
    """An object of a view, and how it was pointed at so far.

    Attributes:
        shares: (2 h, 2 w) float32, how much of each cell the object covers.
        on, off: cells that were clicked on.
        before: (2 h, 2 w) float32, the mask found so far.
    """

    cues: FrameCues
    shares: np.ndarray
    on: list[Place] = field(default_factory=list)
    off: list[Place] = field(default_factory=list)
    box: CellBox | None = None
    before: np.ndarray | None = None

    @property
    def truth(self) -> np.ndarray:
        return self.shares > 0.5

    def click(self, generator: np.random.Generator) -> None:
        """Click on the largest error, at its innermost cell or near it."""
        found = np.zeros_like(self.truth) if self.before is None else self.before > 0.5
        click = next_click(found, self.truth)
        if click is not None:
            place = (click.y, click.x)
            if generator.random() < 0.4:
                place = near(
                    place, self.truth & ~found if click.adds else found & ~self.truth, generator
                )
            (self.on if click.adds else self.off).append(place)


def near(place: Place, wrong: np.ndarray, generator: np.random.Generator) -> Place:
    """Another cell of the same error, not quite as deep in it."""
    _, parts = cv2.connectedComponents(wrong.astype(np.uint8))
    depth = depths(parts == parts[place])
    rows, columns = np.nonzero(depth >= generator.uniform(0.3, 0.9) * depth.max())
    chosen = generator.integers(len(rows))
    return int(rows[chosen]), int(columns[chosen])


def rounds(paths: Sequence[Path], generator: np.random.Generator) -> Iterator[list[Try]]:
    """Yield a few tries again and again, with one click more each time, then others."""
    while True:
        tries: list[Try] = []
        while len(tries) < BATCH:
            a_try = first_try(paths[generator.integers(len(paths))], generator)
            tries += [a_try] if a_try.truth.sum() >= 6 else []
        yield tries
        for number in range(generator.integers(1, 5)):
            if number or generator.random() >= 0.2:  # else the network sees its own mask only
                for a_try in tries:
                    a_try.click(generator)
            yield tries


def first_try(path: Path, generator: np.random.Generator) -> Try:
    """With a click, a box, or a mask and a click."""
    cues, masks = prepared(path, mirrored=generator.random() < 0.5)
    a_try = Try(cues, masks[generator.integers(len(masks))].astype(np.float32) / 255)
    kind = generator.random()
    if kind < BOXES:
        a_try.box = box_around(a_try.shares > 0.2, generator)
        return a_try
    if kind < BOXES + MASKS:
        a_try.before = damaged(a_try.truth, generator)
    if a_try.truth.any():
        a_try.click(generator)
    return a_try


def prepared(path: Path, mirrored: bool) -> tuple[FrameCues, np.ndarray]:
    view: View = load_view(path)
    order = slice(None, None, -1 if mirrored else 1)
    vectors = view.vectors[:, order].astype(np.float32)
    return FrameCues(np.ascontiguousarray(view.image[:, order]), vectors), view.masks[..., order]


def box_around(mask: np.ndarray, generator: np.random.Generator) -> CellBox:
    """Tight, or with sides up to a fifth away or inside: people cut objects, too."""
    rows, columns = np.nonzero(mask)
    by = generator.choice([0, 0.05, 0.1, 0.2])
    sides = by * np.array([np.ptp(rows) + 1, np.ptp(columns) + 1] * 2)
    out = generator.uniform(-0.8 * sides, sides).round().astype(int)
    return CellBox(
        max(0, int(rows.min() - out[0])),
        max(0, int(columns.min() - out[1])),
        min(mask.shape[0], int(rows.max() + 1 + out[2])),
        min(mask.shape[1], int(columns.max() + 1 + out[3])),
    )


def damaged(truth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(2 h, 2 w) float32: a mask grown or shrunk, with discs too many or too few."""
    size = int(generator.integers(1, 12))
    change = cv2.dilate if generator.random() < 0.5 else cv2.erode
    mask = change(truth.astype(np.uint8), np.ones((size, size), np.uint8))
    for _ in range(generator.integers(0, 3)):
        middle = (int(generator.integers(mask.shape[1])), int(generator.integers(mask.shape[0])))
        fill = int(generator.random() < 0.5)
        cv2.circle(mask, middle, int(generator.integers(3, 20)), fill, cv2.FILLED)
    soft = mask.astype(np.float32)
    return cv2.GaussianBlur(soft, (0, 0), generator.uniform(0.1, 4)) if size % 2 else soft


def planes_of(tries: Sequence[Try]) -> tuple[Tensor, Tensor]:
    """What the network is told of a batch, as (B, n, h, w) and (B, n, 2 h, 2 w)."""
    told = [t.cues.planes(t.on, t.off, t.box, t.before) for t in tries]
    of_tokens, of_cells = (torch.from_numpy(np.stack(part)) for part in zip(*told, strict=True))
    return (
        of_tokens.contiguous(memory_format=torch.channels_last),
        of_cells.contiguous(memory_format=torch.channels_last),
    )


if __name__ == "__main__":
    with exit_cleanly("fit_interactive"):
        main()
