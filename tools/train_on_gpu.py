"""From carried clips to better weights on a bare GPU machine, in minutes.

    python tools/train_on_gpu.py pack PACK --clips CLIPS --photos PHOTOS --davis DAVIS-2016
    python tools/train_on_gpu.py train PACK --out RUN --minutes 9 --set batch=128

``pack`` runs where vos is installed. It makes a folder of a given size at most: videos as they are,
photos as JPEG, a few annotated sequences to measure J&F on, and the pure-Python packages that bare
machines lack. ``train`` needs PyTorch, torchvision, OpenCV, numba and safetensors, no PyAV and no
network. It decodes once, keeps all frames on the card, and cuts, warps and colours crops there. The
same command goes on where it stopped; with more ``--minutes`` a finished run is lengthened.

A line every few steps tells pairs per second and the share of the time that crops were waited for:
near 0 the network and the loss are the limit, else the reading of pairs.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

    from vos.backbones import Backbone

ROOT = Path(__file__).resolve().parents[1]
CARRIED = ("omegaconf", "lightning_fabric", "lightning_utilities")
PHOTO_QUALITY, FRAME_QUALITY = 75, 85

# The recipe of the shipped weights, at the size that a card wants.
ON_A_CARD = (
    "model.backbone=icon-resnet18,output=head,colour=0",
    "batch=64",
    "steps=1000000",
    "optimiser.rate=1e-3",
    "objective.pool=8",
    "data.cache=device",
    "data.workers=6",
    "precision=bf16-mixed",
    "compile=true",
    "log_every=20",
    "checkpoint_every=200",
    "evaluation.every=400",
)
PROTOCOL = {"short_side": "240", "small_object": "0", "grid_to_mask": "bilinear"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="make the folder to carry")
    packing.add_argument("pack", type=Path)
    packing.add_argument("--clips", type=Path, nargs="+", required=True)
    packing.add_argument("--photos", type=Path, nargs="*", default=[])
    packing.add_argument("--davis", type=Path, help="in the layout of DAVIS, to measure J&F on")
    packing.add_argument("--sequences", nargs="*", default=["motorbike", "dance-jump"])
    packing.add_argument("--frames", type=int, default=40, help="of each sequence at most")
    packing.add_argument("--megabytes", type=float, default=58.0)
    training = commands.add_parser("train", help="train on what was packed")
    training.add_argument("pack", type=Path)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--minutes", type=float, default=9.0)
    training.add_argument("--config", default="icon-resnet18")
    training.add_argument("--device", default="auto")
    training.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    if options.command == "pack":
        pack(options)
    else:
        train_on_pack(options)


def pack(options: argparse.Namespace) -> None:
    """Write the folder to carry: packages and sequences first, then photos and clips that fit."""
    if options.pack.exists() and any(options.pack.iterdir()):
        sys.exit(f"{options.pack} is not empty: choose another folder")
    pack_packages(options.pack / "site")
    if options.davis is not None:
        for name in options.sequences:
            pack_sequence(options.davis, name, options.pack / "sequences" / name, options.frames)
    room = options.megabytes * 1e6 - size_of(options.pack)
    photos = pack_photos(files_under(options.photos), options.pack / "photos", room / 4)
    room = options.megabytes * 1e6 - size_of(options.pack)
    clips, left_out = pack_videos(files_under(options.clips), options.pack / "clips", room)
    print(
        f"{clips} clips ({left_out} did not fit), {photos} photos, "
        f"{size_of(options.pack) / 1e6:.1f} MB in {options.pack}"
    )


def pack_packages(folder: Path) -> None:
    """Copy the packages of :data:`CARRIED`; zlib stands in for zlib-ng, which is compiled."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "tests")
    for name in CARRIED:
        spec = find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            sys.exit(f"{name} is not installed here: pip install vos-propagation")
        shutil.copytree(spec.submodule_search_locations[0], folder / name, ignore=ignored)
    # The same interface as zlib's, which is slower, and only used for PNG files.
    (folder / "zlib_ng.py").write_text("import zlib as zlib_ng\n", encoding="utf-8")


def pack_sequence(davis: Path, name: str, folder: Path, most: int) -> None:
    """Write frames of a short side of 240 pixels and their masks, ``masks.npz``."""
    frames = sorted(davis.glob(f"JPEGImages/480p/{name}/*.jpg"))[:most]
    if not frames:
        sys.exit(f"no sequence {name} in {davis}")
    folder.mkdir(parents=True)
    masks = []
    for path in frames:
        image = shrunk(cv2.imread(str(path)), 240)
        cv2.imwrite(str(folder / path.name), image, [cv2.IMWRITE_JPEG_QUALITY, FRAME_QUALITY])
        masks.append(read_ids(davis / "Annotations" / "480p" / name / f"{path.stem}.png", image))
    np.savez_compressed(folder / "masks.npz", masks=np.stack(masks))


def read_ids(path: Path, image: np.ndarray) -> np.ndarray:
    """Return object ids of a mask at the size of ``image``; 0 / 255 masks have the object 1."""
    from vos.media import read_mask

    mask = read_mask(path)
    mask = np.where(mask == 255, 1, mask) if set(np.unique(mask)) <= {0, 255} else mask
    return cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def pack_photos(files: list[Path], folder: Path, room: float) -> int:
    """Write photos as JPEG until ``room`` bytes are full; return how many."""
    folder.mkdir(parents=True)
    used = 0
    for count, path in enumerate(files):
        image = cv2.imread(str(path))
        if image is None:
            continue
        target = folder / f"{path.stem}-{count}.jpg"  # no two numbers in a row: not a clip
        cv2.imwrite(str(target), shrunk(image, 256), [cv2.IMWRITE_JPEG_QUALITY, PHOTO_QUALITY])
        used += target.stat().st_size
        if used > room:
            target.unlink()
            break
    return len(list(folder.iterdir()))


def pack_videos(files: list[Path], folder: Path, room: float) -> tuple[int, int]:
    """Copy videos until ``room`` bytes are full; return how many did and did not fit."""
    from vos.media.listing import VIDEO_SUFFIXES

    folder.mkdir(parents=True)
    files = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    used, copied = 0, 0
    for path in files:
        size = path.stat().st_size
        if used + size > room:
            continue
        target = folder / path.name
        if target.exists():  # of the same name in another folder
            target = target.with_stem(f"{path.stem}-{copied}")
        shutil.copy(path, target)
        used, copied = used + size, copied + 1
    return copied, len(files) - copied


def files_under(folders: Iterable[Path]) -> list[Path]:
    """Return all files under folders, shuffled in the same way each time."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    random.Random(0).shuffle(files)
    return files


def shrunk(image: np.ndarray, short_side: int) -> np.ndarray:
    """Return an image whose shorter side is ``short_side`` pixels at most."""
    scale = min(1.0, short_side / min(image.shape[:2]))
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def size_of(folder: Path) -> int:
    """Return how many bytes the files of a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def train_on_pack(options: argparse.Namespace) -> None:
    """Train on a pack, or go on with the run in ``--out``."""
    sys.path[:0] = [str(ROOT)]
    sys.path.append(str(options.pack / "site"))  # last: what is installed comes first
    import torch

    from vos.errors import VosError
    from vos.machine import resolve_device
    from vos.training import load_config, train

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    torch.set_float32_matmul_precision("high")
    try:
        device = resolve_device(options.device)
        settings = [*ON_A_CARD, f"minutes={options.minutes}", *options.settings]
        config = load_config(options.config, settings)
        config.data.paths = [str(options.pack / part) for part in ("clips", "photos")]
        sequences = [read_sequence(path) for path in sorted(options.pack.glob("sequences/*"))]
        evaluate = measure_on(sequences, device) if sequences else None
        if evaluate is None:
            config.evaluation.every = 0
        trained = train(config, options.out, device=options.device, evaluate=evaluate)
    except VosError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from the last state")
    pairs = trained.steps * config.batch
    print(f"{pairs} pairs in {trained.seconds:.0f} seconds; weights in {trained.weights}")


def read_sequence(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (T, H, W, 3) RGB and masks (T, H, W) of a packed sequence."""
    frames = [cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB) for p in folder.glob("*.jpg")]
    order = np.argsort([path.name for path in folder.glob("*.jpg")])
    return np.stack([frames[i] for i in order]), np.load(folder / "masks.npz")["masks"]


def measure_on(
    sequences: list[tuple[np.ndarray, np.ndarray]], device: torch.device
) -> Callable[[Backbone], dict[str, float]]:
    """Return a function from a backbone to its mean J&F over ``sequences``."""
    from vos.backbones.inference import FeatureExtractor
    from vos.metrics.frame import score_frame
    from vos.propagation import Propagator, preset

    config = preset("default").with_settings(PROTOCOL)

    def evaluate(backbone: Backbone) -> dict[str, float]:
        if getattr(backbone, "head", None) is not None:
            backbone.set_output("layer")  # what is used later; the head is for training
        extract = FeatureExtractor(backbone, device, runtime="eager")
        scores = []
        for frames, masks in sequences:
            propagator = Propagator(config)
            ids = [int(each) for each in np.unique(masks[0]) if each not in (0, 255)]
            propagator.annotate(0, extract(frames[:1])[0], masks[0])
            for index in range(1, len(frames)):
                soft = propagator.step(index, extract(frames[index : index + 1])[0])
                mask = soft.mask(masks[0].shape)
                scores.append(np.mean(score_frame(masks[index], mask, ids), axis=1))
        region, boundary = np.mean(scores, axis=0)
        return {"J&F": (region + boundary) / 2, "J": float(region), "F": float(boundary)}

    return evaluate


if __name__ == "__main__":
    main()
