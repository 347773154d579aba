"""How good the masks of clicks and of boxes are, by a fixed protocol.

    python tools/points_protocol.py --data 2016:train:DAVIS-2016 2017:val:DAVIS-2017

On the first frame of each sequence, the first click is at the innermost point of the object, each
further one at the innermost point of the largest error; a box lies tight around the object. The
last line holds means over sequences of means over their objects.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vos.cli.exit_codes import exit_cleanly
from vos.datasets import open_dataset
from vos.media import object_ids
from vos.segmentation import make_extractor
from vos.segmentation.interactive import Box, Click, InteractiveFrame
from vos.settings import DEFAULT_MODEL

CLICKS = 5


class Example(NamedTuple):
    """One object on one frame; ``truth`` is (H, W) bool."""

    sequence: str
    frame: InteractiveFrame
    truth: np.ndarray


class Result(NamedTuple):
    """IoU after each click and of the box, and seconds of a click after the first."""

    clicks: list[float]
    box: float
    seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True, metavar="YEAR:SPLIT:ROOT")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    results: dict[str, list[Result]] = defaultdict(list)
    for example in examples(arguments.data, arguments.model):
        results[example.sequence].append(measure(example))
    averages = {name: average(found) for name, found in results.items()}
    for name, values in averages.items():
        print(row(name, *values))
    print(row("mean of sequences", *np.mean(list(averages.values()), axis=0).tolist()))


def examples(data: Sequence[str], model: str) -> Iterator[Example]:
    """Yield the objects of first frames that have at least 100 pixels."""
    extractor = make_extractor(model)
    for place in data:
        year, split, root = place.split(":", 2)
        for sequence in open_dataset("davis", root=root, year=int(year), split=split).sequences:
            image, mask = sequence.frame(0), sequence.mask(0)
            frame = InteractiveFrame(image, extractor)
            for object_id in object_ids(mask):
                truth = mask == object_id
                if truth.sum() >= 100:
                    yield Example(sequence.name, frame, truth)


def measure(example: Example) -> Result:
    """Click and draw a box as the protocol says."""
    frame, truth = example.frame, example.truth
    rows, columns = np.nonzero(truth)
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    clicks = [Click(*innermost(truth))]
    found, seconds = [], []
    for _ in range(CLICKS):
        began = time.perf_counter()
        mask = frame.mask(clicks)
        seconds.append(time.perf_counter() - began)
        found.append(iou(mask, truth))
        click = next_click(mask, truth)
        if click is None:
            break
        clicks.append(click)
    found += [found[-1]] * (CLICKS - len(found))
    return Result(found, iou(frame.mask((), box), truth), seconds)


def innermost(region: np.ndarray) -> tuple[int, int]:
    """(x, y) of the pixel of a (H, W) bool region that is furthest from all outside it."""
    y, x = np.unravel_index(int(depths(region).argmax()), region.shape)
    return int(x), int(y)


def depths(region: np.ndarray) -> np.ndarray:
    """(H, W) float32: how far each pixel of a region is from all outside it."""
    padded = np.pad(region.astype(np.uint8), 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]


def next_click(mask: np.ndarray, truth: np.ndarray) -> Click | None:
    """Return the click that corrects the largest connected error; None where there is none."""
    errors = []
    for adds, wrong in ((True, truth & ~mask), (False, mask & ~truth)):
        _, parts, statistics, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
        sizes = statistics[1:, cv2.CC_STAT_AREA]
        if len(sizes):
            errors.append((int(sizes.max()), adds, parts == 1 + sizes.argmax()))
    if not errors:
        return None
    _, adds, part = max(errors, key=lambda error: error[0])
    return Click(*innermost(part), adds)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))


def average(results: Sequence[Result]) -> list[float]:
    """Mean IoU after 1, 3 and 5 clicks and of the box, and the median seconds of a click."""
    clicks = np.mean([result.clicks for result in results], axis=0)
    box = float(np.mean([result.box for result in results]))
    seconds = float(np.median([second for result in results for second in result.seconds]))
    return [*clicks[[0, 2, 4]].tolist(), box, seconds]


def row(name: str, one: float, three: float, five: float, box: float, seconds: float) -> str:
    return (
        f"| {name} | {one:.2f} | {three:.2f} | {five:.2f} | {box:.2f} | {1000 * seconds:.0f} ms |"
    )


if __name__ == "__main__":
    with exit_cleanly("points_protocol"):
        main()
