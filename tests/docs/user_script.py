"""A user's script with every public name of vos, for mypy --strict; it is checked and not run."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import vos


def carry(video: Path, mask: np.ndarray, network: torch.nn.Module) -> Iterator[int]:
    config: vos.PropagationConfig = vos.preset("crw")
    for index, ids, found in vos.propagate(video, {0: mask}, model=network, preset=config):
        yield index + len(ids) + int(found.sum())
    for index, _, _ in vos.propagate([mask], {0: mask}, model=vos.as_backbone(torch.relu)):
        yield index
    with vos.Session(str(video), model="lab") as session:
        session.annotate(0, mask)
        for index, _, found in session.propagate("forward"):
            yield index + int(found.max())


def measure(network: torch.nn.Module) -> float:
    data = vos.open_dataset("davis", "DAVIS", split="train", sequences=["bear"])
    evaluation = vos.evaluate(data, "out", model=network, device=torch.device("cpu"))
    scores = vos.score("out", data)
    trained = vos.train("icon-roll-tiny", "run", data=["clips"], settings=["steps=3"])
    return float(evaluation.record["J&F"]) + trained.seconds + len(str(scores))


def features(clip: Path) -> tuple[int, ...]:
    backbone: vos.Backbone = vos.load("resnet18,stride=4", seed=1)
    vos.export_features([clip], "clip.zarr", model="lab", every=2)
    found = vos.open_features("clip.zarr").sample(10, [(200.0, 120.0)])
    propagator = vos.Propagator(vos.preset("default"))
    image = torch.rand(1, 3, 64, 64)
    propagator.annotate(0, backbone(image)[0], np.zeros((64, 64), np.uint8))
    mask = propagator.step(1, backbone(image)[0]).mask((64, 64))
    frame = next(iter(vos.open_video(clip).read(0)))
    clicked = vos.segment_frame(frame, points=[(30, 20), (40, 9, False)], model="lab")
    return (*found.shape, *mask.shape, *frame.shape, *clicked.shape)


def main() -> str:
    try:
        return str(features(Path("clip.mp4")))
    except vos.MissingError as error:
        return str(error)
    except (vos.UsageError, vos.InvalidResultsError) as error:
        raise SystemExit(vos.__version__) from error
    except vos.VosError:
        return ""
