"""Still images in and out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vos.errors import VosError
from vos.files import atomic_path

# File names that a folder of frames may hold, in lower case.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})

_EXIF_ORIENTATION = 0x0112


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what Pillow says about a bad file into one line for the user."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except UnidentifiedImageError as error:
        what = "is empty" if path.stat().st_size == 0 else "is not an image that can be read"
        raise VosError(f"{path} {what}: replace the file") from error
    except OSError as error:
        if error.errno is not None:
            raise VosError(f"cannot read {path}: {error.strerror}") from error
        raise VosError(f"{path} is truncated or damaged ({error}): replace the file") from error
    except (SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise VosError(f"{path} is damaged ({error}): replace the file") from error


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image with Pillow and decode it wholly.

    Raises:
        VosError: the file is missing, unreadable, empty, truncated, or not an image.
    """
    with _explained(path):
        image = Image.open(path)
        image.load()
    with image:
        yield image


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image turned upright, from its header alone.

    Raises:
        VosError: the file is missing, unreadable, empty, or not an image.
    """
    with _explained(path), Image.open(path) as image:
        width, height = image.size
        sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
    return (width, height) if sideways else (height, width)


def read_image(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Grey images are repeated over the channels, alpha is dropped, 16 bits are reduced to 8.

    Raises:
        VosError: the file is missing, unreadable, truncated, or not an image.
    """
    with open_image(path) as image:
        if image.mode == "RGB" and not image.getexif().get(_EXIF_ORIENTATION):
            return np.array(image)
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            grey = (np.array(upright).clip(0, 65535) >> 8).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        return np.array(upright.convert("RGB"))


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB or (H, W) uint8 grey image, atomically.

    The format follows the suffix; JPEGs are written at quality 95.

    Raises:
        VosError: no such format, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise VosError(f"cannot write {path}: choose one of the image suffixes {known}")
    options: dict[str, Any] = (
        {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    )
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(image)).save(temporary, **options)
