"""Everything that only a GPU can tell, in one go: tests, agreement, speed.

    python tools/check_gpu.py --out gpu.json

Runs the tests marked ``gpu``; carries labels with the Triton engine and with the reference on the
same features, under every preset, and compares masks and time; times the inverse-consistency loss;
and times the whole job at 854 x 480, from JPEG frames to PNG masks. Needs torch, Triton, and what
`vos` itself needs; parts that cannot run say why and do not stop the others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import vos
from vos.backbones.inference import FeatureExtractor
from vos.cli.exit_codes import exit_cleanly
from vos.datasets import Sequence, open_dataset
from vos.media import write_mask
from vos.media.background import BackgroundWriter
from vos.progress import Stopwatch
from vos.propagation import PRESETS, Propagator, preset
from vos.segmentation import segment
from vos.settings import DEFAULT_MODEL

SIZE = (480, 854)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--frames", type=int, default=200, help="of the whole job")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "tests": run_tests,
        "propagation": lambda: compare_engines(options.model, options.device),
        "loss": lambda: time_loss(options.device),
        "whole job": lambda: time_whole_job(options.model, options.device, options.frames),
    }
    figures: dict[str, Any] = {"versions": {"torch": torch.__version__, "vos": vos.__version__}}
    for name, part in parts.items():
        try:
            figures[name] = part()
        except Exception:
            figures[name] = {"failed": traceback.format_exc(limit=-6)}
        print(f"{name}: {json.dumps(figures[name], indent=1)}", flush=True)
        if options.out:
            options.out.write_text(json.dumps(figures, indent=2) + "\n")


def run_tests() -> dict[str, Any]:
    marked = [path for path in Path("tests").rglob("test_*.py") if "mark.gpu" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", *map(str, marked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"exit": done.returncode, "end": done.stdout.strip().splitlines()[-5:]}


def compare_engines(model: str, device: str) -> dict[str, Any]:
    """Per preset: share of equal mask pixels, and seconds per frame of both engines."""
    sequence = _enlarged(open_dataset("sample").sequences[0])
    extractor = FeatureExtractor(vos.load(model), torch.device(device))
    maps = [extractor([frame])[0] for frame in sequence[0]]
    figures = {}
    for name in PRESETS:
        masks, seconds = {}, {}
        for engine in ("reference", "triton"):
            masks[engine], seconds[engine] = _carry(engine, name, maps, sequence[1])
        equal = np.mean([a == b for a, b in zip(masks["reference"], masks["triton"], strict=True)])
        figures[name] = {"equal": float(equal), "seconds": seconds}
    return figures


def _carry(
    engine: str, name: str, maps: list[torch.Tensor], mask: np.ndarray
) -> tuple[list[np.ndarray], float]:
    propagator = Propagator(preset(name), engine=engine)
    masks = [propagator.annotate(0, maps[0], mask).mask(SIZE)]
    spent = []
    for index, features in enumerate(maps[1:], start=1):
        _wait(features.device)
        start = time.perf_counter()
        soft = propagator.step(index, features)
        _wait(features.device)
        spent.append(time.perf_counter() - start)
        masks.append(soft.mask(SIZE))
    return masks, float(np.median(spent[2:]))  # the first steps compile


def time_loss(device: str) -> list[dict[str, Any]]:
    from bench_loss import bench_loss

    return [vars(speed) for speed in bench_loss([900, 3600, 14400], device=device)]


def time_whole_job(model: str, device: str, frames: int) -> dict[str, Any]:
    """Frames a second from JPEG files to PNG masks, once everything is warm."""
    images, mask = _enlarged(open_dataset("sample").sequences[0])
    extractor = FeatureExtractor(vos.load(model), torch.device(device), frame_count=frames)
    with tempfile.TemporaryDirectory(prefix="vos-gpu-") as name:
        folder = Path(name)
        for index, image in enumerate(images):
            cv2.imwrite(str(folder / f"{index:05d}.jpg"), image[..., ::-1])
        paths = sorted(folder.glob("*.jpg"))
        figures = {}
        for chosen in ("default", "crw"):
            _segment(paths, mask, extractor, chosen, folder, 30)  # warm
            stopwatch = Stopwatch()
            start = time.perf_counter()
            _segment(paths, mask, extractor, chosen, folder, frames, stopwatch)
            spent = time.perf_counter() - start
            figures[chosen] = {"fps": frames / spent, "seconds": dict(stopwatch.seconds)}
    return figures


def _segment(
    paths: list[Path],
    mask: np.ndarray,
    extractor: FeatureExtractor,
    chosen: str,
    folder: Path,
    frames: int,
    stopwatch: Stopwatch | None = None,
) -> None:
    def read() -> Any:
        for index in range(frames):
            there_and_back = index % (2 * len(paths) - 2)
            place = min(there_and_back, 2 * len(paths) - 2 - there_and_back)
            image = cv2.imread(str(paths[place]))
            yield index, np.ascontiguousarray(image[..., ::-1])

    with BackgroundWriter() as writer:
        for frame in segment(
            read(), {0: mask}, extractor=extractor, config=preset(chosen), stopwatch=stopwatch
        ):
            writer.submit(write_mask, folder / f"{frame.index:05d}.png", frame.mask)


def _enlarged(sequence: Sequence) -> tuple[list[np.ndarray], np.ndarray]:
    """The frames of a sequence of the sample at the size of DAVIS, and its first mask."""
    images = [
        cv2.resize(sequence.frame(i), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        for i in range(len(sequence))
    ]
    mask = cv2.resize(sequence.mask(0), SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    return images, mask


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    with exit_cleanly("check_gpu"):
        main()
