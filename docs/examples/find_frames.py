"""Find the frames that show a thing: k-nearest neighbours of exported features.

The thing is one object on the first frame of a clip; the question is in which of the frames of all
clips it can be seen. A frame scores by how well its tokens match those of the object, and frames
are ranked by score. The features are those of layer 3, below the projection that training compares.
Measured as average precision, beside the same with colours (patches of Lab) and beside chance.

    python docs/examples/find_frames.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import vos
from vos.export import Features, export_features

# What is learnt alone, without the colour that is set beside it by default.
SPECS = {"icon-resnet18": "icon-resnet18,colour=0", "lab": "lab"}
LAYERS = {"icon-resnet18": 3, "lab": None}
NEIGHBOURS = 1  # the best match of each token of the object, in each frame


def unit_tokens(features: Features, t: int) -> np.ndarray:
    """(h * w, C) unit vectors of one frame."""
    tokens = features[t].reshape(features.shape[1], -1).T.astype(np.float32)
    return tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)


def tokens_inside(features: Features, mask: np.ndarray) -> np.ndarray:
    """(h * w,) whether the centre of each token lies in a mask of the frame."""
    rows, columns = np.indices(features.shape[2:])
    centres = features.geometry.to_pixels(np.stack([columns.ravel(), rows.ravel()], 1))
    limits = np.array(mask.shape[::-1]) - 1
    x, y = np.rint(centres).astype(int).clip(0, limits).T
    return mask[y, x]


def score(wanted: np.ndarray, tokens: np.ndarray) -> float:
    """How well (n, C) tokens of the object are matched in a frame: mean cosine of the best."""
    similarity = np.sort(wanted @ tokens.T, axis=1)[:, -NEIGHBOURS:]
    return float(similarity.mean())


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    ranked = relevant[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / (np.arange(len(ranked)) + 1)
    return float(precision[ranked].mean())


def measure(folder: Path, model: str) -> tuple[list[float], list[float]]:
    """Average precision of each object, and that of a random order."""
    sequences = list(vos.open_dataset("sample"))
    clips = []
    for sequence in sequences:
        out = folder / f"{sequence.name}-find-{model}.zarr"
        frames = sequence.frame_paths[0].parent
        export_features(frames, out, model=SPECS[model], layer=LAYERS[model], every=4)
        clips.append(vos.open_features(out))
    frames = [(clip, t) for clip, features in enumerate(clips) for t in range(len(features))]
    tokens = [unit_tokens(clips[clip], t) for clip, t in frames]
    found, chance = [], []
    for number, sequence in enumerate(sequences):
        for object_id in sequence.object_ids:
            query = tokens_inside(clips[number], sequence.mask(0) == object_id)
            start = frames.index((number, 0))
            scores = np.array([score(tokens[start][query], each) for each in tokens])
            relevant = np.array(
                [
                    clip == number
                    and bool((sequence.mask(int(clips[clip].frame_indices[t])) == object_id).any())
                    for clip, t in frames
                ]
            )
            others = np.arange(len(frames)) != start  # the question itself is no answer
            found.append(average_precision(scores[others], relevant[others]))
            chance.append(float(relevant[others].mean()))
    return found, chance


def main(folder: Path) -> None:
    for model in LAYERS:
        found, chance = measure(folder, model)
        print(
            f"{model:14} mean average precision {np.mean(found):.3f} "
            f"over {len(found)} objects (a random order: {np.mean(chance):.3f})"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/features"))
