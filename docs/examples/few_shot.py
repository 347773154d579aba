"""Few-shot segmentation: a linear classifier on exported features, taught by three masks.

For each clip of the built-in sample the masks of three frames (first, middle, last) teach a linear
head which token belongs to which object; it then labels the other frames, each by itself, without
any propagation. The features are those of layer 3, below the projection that training compares.
Measured as mean intersection over union of the objects, beside the same head on colours (patches of
Lab).

    python docs/examples/few_shot.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import vos
from vos.datasets import Sequence
from vos.export import Features, export_features
from vos.export.geometry import resize_map

# What is learnt alone, without the colour that is set beside it by default.
SPECS = {"icon-resnet18": "icon-resnet18,colour=0", "lab": "lab"}
LAYERS = {"icon-resnet18": 3, "lab": None}


def labels_of_tokens(features: Features, mask: np.ndarray) -> np.ndarray:
    """(h * w,) the id under the centre of each token."""
    rows, columns = np.indices(features.shape[2:])
    centres = features.geometry.to_pixels(np.stack([columns.ravel(), rows.ravel()], 1))
    limits = np.array(mask.shape[::-1]) - 1
    x, y = np.rint(centres).astype(int).clip(0, limits).T
    return mask[y, x]


def tokens_of(features: Features, t: int) -> torch.Tensor:
    """(h * w, C) float32."""
    return torch.from_numpy(features[t].reshape(features.shape[1], -1).T.astype(np.float32))


def teach(features: Features, masks: dict[int, np.ndarray], classes: int) -> torch.nn.Module:
    """A batch norm and a linear layer, fitted to the tokens of a few frames."""
    tokens = torch.cat([tokens_of(features, t) for t in masks])
    targets = np.concatenate([labels_of_tokens(features, mask) for mask in masks.values()])
    labels = torch.from_numpy(targets.astype(np.int64))
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(tokens.shape[1], affine=False, momentum=None)
    norm(tokens)  # the statistics of these frames, from here on fixed
    head = torch.nn.Linear(tokens.shape[1], classes)
    inputs = norm.eval()(tokens)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        decay = 1e-3 * head.weight.square().sum()
        loss = torch.nn.functional.cross_entropy(head(inputs), labels) + decay
        loss.backward()
        return loss

    optimiser.step(closure)
    return torch.nn.Sequential(norm, head).eval()


@torch.no_grad()
def segment(features: Features, head: torch.nn.Module, t: int) -> np.ndarray:
    """(H, W) ids of one frame: the logits resized to pixels, the largest taken."""
    logits = head(tokens_of(features, t)).T.numpy().reshape(-1, *features.shape[2:])
    return resize_map(logits, features.geometry, features.geometry.size).argmax(0)


def measure(sequence: Sequence, folder: Path, model: str) -> float:
    """Mean IoU of the objects over the frames that were not taught."""
    out = folder / f"{sequence.name}-few-shot-{model}.zarr"
    export_features(sequence.frame_paths[0].parent, out, model=SPECS[model], layer=LAYERS[model])
    features = vos.open_features(out)
    last = len(sequence) - 1
    masks = {t: sequence.mask(t) for t in (0, last // 2, last)}
    head = teach(features, masks, classes=max(sequence.object_ids) + 1)
    ious = []
    for t in set(range(len(sequence))) - set(masks):
        found, truth = segment(features, head, t), sequence.mask(t)
        for object_id in sequence.object_ids:
            union = ((found == object_id) | (truth == object_id)).sum()
            if union:
                ious.append(((found == object_id) & (truth == object_id)).sum() / union)
    return float(np.mean(ious))


def main(folder: Path) -> None:
    print(f"{'clip':8} " + " ".join(f"{model:>14}" for model in LAYERS))
    rows = []
    for sequence in vos.open_dataset("sample"):
        rows.append([measure(sequence, folder, model) for model in LAYERS])
        print(f"{sequence.name:8} " + " ".join(f"{value:14.3f}" for value in rows[-1]))
    print(f"{'mean':8} " + " ".join(f"{value:14.3f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/features"))
