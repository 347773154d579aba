"""Toy videos as features, and the masks that engines carry through them."""

import numpy as np
import torch

from vos.propagation import Propagator


def drifting_features(frames, grid, channels=64, seed=0):
    """Smooth random features that move by one token a frame, with noise: a toy video."""
    generator = torch.Generator().manual_seed(seed)
    height, width = grid
    world = torch.randn(1, channels, height + frames, width + frames, generator=generator)
    world = torch.nn.functional.avg_pool2d(world, 3, 1, 1)
    for t in range(frames):
        view = world[0, :, t // 2 : t // 2 + height, t : t + width]
        yield view + 0.05 * torch.randn(channels, height, width, generator=generator)


def blocks(size, ids):
    """A mask with one rectangle an object, far enough apart to leave background between."""
    mask = np.zeros(size, np.uint8)
    columns = np.linspace(0, size[1], len(ids) + 1).astype(int)
    for object_id, left, right in zip(ids, columns, columns[1:], strict=False):
        mask[size[0] // 4 : size[0] // 2, left + 4 : right - 4] = object_id
    return mask


def run(config, engine, grid, ids, frames=8, device="cpu", flows=None):
    propagator = Propagator(config, engine=engine)
    mask = blocks((grid[0] * 8, grid[1] * 8), ids)
    masks, labels = [], []
    for index, features in enumerate(drifting_features(frames, grid)):
        features = features.to(device)
        if index == 0:
            soft = propagator.annotate(0, features, mask)
        else:
            soft = propagator.step(index, features, flows[index] if flows else None)
        if index == 4:  # a correction midway, with an object that was not there before
            later = np.zeros_like(mask)
            later[: grid[0], : grid[1]] = 200
            soft = propagator.annotate(index, features, later)
        masks.append(soft.mask(mask.shape))
        labels.append(soft.labels)
    return np.stack(masks), labels
