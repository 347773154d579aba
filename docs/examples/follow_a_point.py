"""Follow points through a video, and measure the error against exact tracks.

The built-in sample tells exact tracks of eight points per object of the first frame. Each is
followed by its feature: the best match near its last place, half compared with the first frame
(no drift), half with the frame before (change of looks).

    python docs/examples/follow_a_point.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import vos
from vos.datasets.sample import sample_tracks
from vos.export import Features, export_features
from vos.export.geometry import sample_map

REACH = 5  # tokens that a point may move from one frame to the next
SHARPNESS = 0.05  # temperature of the sub-token place of the best match


def unit(features: np.ndarray, axis: int) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=axis, keepdims=True), 1e-12)


def follow(features: Features, points: np.ndarray) -> np.ndarray:
    """(N, 2) pixels of frame 0 to their places in all frames, (T, N, 2)."""
    geometry = features.geometry
    first = last = unit(features.sample(0, points), 1)
    place = geometry.to_tokens(points)
    track = [points]
    rows, columns = np.indices(features.shape[2:])
    for t in range(1, len(features)):
        tokens = unit(features[t].astype(np.float32), 0)
        similarity = np.tensordot(unit(first + last, 1), tokens, 1)  # (N, h, w)
        away = np.hypot(columns - place[:, 0, None, None], rows - place[:, 1, None, None])
        similarity[away > REACH] = -1
        for number, each in enumerate(similarity):
            row, column = np.unravel_index(each.argmax(), each.shape)
            window = (slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2))
            weight = np.exp((each[window] - each.max()) / SHARPNESS)
            weight /= weight.sum()
            place[number] = (weight * columns[window]).sum(), (weight * rows[window]).sum()
        last = unit(sample_map(tokens, place), 1)
        track.append(geometry.to_pixels(place))
    return np.stack(track)


def main(folder: Path) -> None:
    print(f"{'clip':8} {'points':>6} {'median error':>13} {'within 8 px':>12}   if it stood still")
    everything = []
    total = 0
    for sequence in vos.open_dataset("sample"):
        out = folder / f"{sequence.name}.zarr"
        # What is learnt alone: within an object, the colour beside it tells few places apart.
        export_features(sequence.frame_paths[0].parent, out, model="icon-resnet18,colour=0")
        truth = sample_tracks(sequence.name)
        points = truth.points[0]
        seen = truth.visible.copy()
        seen[0] = False
        found = follow(vos.open_features(out), points)
        errors = np.linalg.norm(found - truth.points, axis=2)[seen]
        still = np.linalg.norm(points - truth.points, axis=2)[seen]
        everything.append((errors, still))
        total += len(points)
        report(sequence.name, len(points), errors, still)
    errors, still = (np.concatenate(part) for part in zip(*everything, strict=True))
    report("all", total, errors, still)


def report(name: str, points: int, errors: np.ndarray, still: np.ndarray) -> None:
    print(
        f"{name:8} {points:6} {np.median(errors):10.1f} px {np.mean(errors < 8):12.0%}   "
        f"{np.median(still):.1f} px, {np.mean(still < 8):.0%}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/features"))
