"""Run vos and networks that are trained with labels from frames to masks: same clip and machine.

    python tools/bench_whole.py --cutie Cutie --sam2 sam2 --root DAVIS --year 2016 --split train

Each contender reads the frames of one sequence and the mask of the first, and writes a PNG per
frame, in a process of its own, one after the other, ``--rounds`` times. The clock starts when its
network is loaded. The peers' weights are random (they do not come with their code), which takes
the same time. Printed: seconds per frame (the median of the rounds), how many times longer than
vos, and the peak memory. Checkouts: https://github.com/hkchengrex/Cutie and
https://github.com/facebookresearch/sam2; ``--python`` is an interpreter that has what they need:
torch, torchvision, hydra-core, einops, iopath, tqdm, Pillow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

from vos.cli.exit_codes import exit_cleanly
from vos.datasets import open_dataset

WORKERS = Path(__file__).parent / "peers"


def main() -> None:
    options = _options()
    contenders = {
        "vos default": ("vos", sys.executable, "default"),
        "vos fast": ("vos", sys.executable, "fast"),
        "vos fine": ("vos", sys.executable, "fine"),
    }
    if options.cutie:
        checkout = str(options.cutie.resolve())
        contenders["Cutie small"] = ("cutie", options.python, checkout, "small")
        contenders["Cutie base"] = ("cutie", options.python, checkout, "base")
    if options.sam2:
        contenders["SAM 2.1 tiny"] = ("sam2", options.python, str(options.sam2.resolve()), "t")
    records: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="vos-peers-") as folder:
        frames = _write_clip(Path(folder), options)
        for _ in range(options.rounds):
            for name, (worker, python, *arguments) in contenders.items():
                record = _run(Path(folder), worker, python, arguments, options.threads)
                print(f"{name}: {record['seconds']:.1f} s", file=sys.stderr, flush=True)
                records[name].append(record)
    ours = _median(records["vos default"], "seconds") / frames
    for name, rounds in records.items():
        seconds = _median(rounds, "seconds") / frames
        print(
            f"{name:14} {seconds:6.3f} s per frame, {1 / seconds:5.2f} frames per second, "
            f"{seconds / ours:5.2f} times vos default, {_median(rounds, 'memory_mb'):5.0f} MiB"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cutie", type=Path, help="checkout of Cutie")
    parser.add_argument("--sam2", type=Path, help="checkout of SAM 2")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the peers")
    parser.add_argument("--root", type=Path, required=True, help="DAVIS folder")
    parser.add_argument("--year", type=int, default=2016)
    parser.add_argument("--split", default="train")
    parser.add_argument("--sequence", default="car-turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _write_clip(folder: Path, options: argparse.Namespace) -> int:
    """Lay out the sequence as the workers want it, and return how many frames it has."""
    sequence = open_dataset(
        "davis", root=options.root, year=options.year, split=options.split,
        sequences=[options.sequence],
    ).sequences[0]  # fmt: skip
    frames, masks = folder / "JPEGImages/480p/clip", folder / "Annotations/480p/clip"
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, path in enumerate(sequence.frame_paths):
        (frames / f"{index:05d}.jpg").symlink_to(path.resolve())
    Image.fromarray(sequence.mask(0)).save(masks / "00000.png")
    return len(sequence)


def _run(
    folder: Path, worker: str, python: str, arguments: list[str], threads: int
) -> dict[str, float]:
    command = [python, str(WORKERS / f"video_{worker}.py"), str(folder), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{worker} failed:\n{done.stderr[-2000:]}")
    record = json.loads((folder / f"{worker}.json").read_text())
    return {"seconds": record["seconds"]["total"], "memory_mb": record["peak_memory_mb"]}


def _median(rounds: list[dict[str, float]], what: str) -> float:
    return statistics.median(each[what] for each in rounds)


if __name__ == "__main__":
    with exit_cleanly("bench_whole"):
        main()
