"""Still images in and out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vos.errors import VosError
from vos.files import atomic_path
from vos.media.listing import IMAGE_SUFFIXES
from vos.media.tones import Tones, scale_of

# Formats in which several pictures are an animation or a stack. Not JPEG: there they are views,
# depths and previews of one photo.
_OF_PICTURES = frozenset({"TIFF", "WEBP", "PNG", "AVIF", "GIF"})
_REDUCED, _NEW_SUBFILE_TYPE = 1, 254  # a page of a TIFF that is a preview of another

_EXIF_ORIENTATION = 0x0112
_LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif"})


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what Pillow says about a bad file into one line for the user."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except VosError:
        raise
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
def open_pictures(path: Path) -> Iterator[Image.Image]:
    """Open an image with Pillow, all its pictures to be sought and decoded in the block.

    Raises:
        VosError: the file is missing, unreadable, empty, truncated, or not an image.
    """
    with _explained(path), Image.open(path) as image:
        yield image


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image of one picture with Pillow and decode it wholly.

    Raises:
        VosError: the file is missing, unreadable, empty, truncated, not an image, or of several
            pictures.
    """
    with _explained(path):
        image = Image.open(path)
        _check_single(path, image)
        image.load()
    with image:
        yield image


def picture_indices(image: Image.Image) -> list[int]:
    """Return where the pictures of an animation or a stack are; previews are passed over."""
    count = getattr(image, "n_frames", 1)
    if count == 1 or image.format not in _OF_PICTURES:
        return [0]
    if image.format == "PNG" and image.info.get("default_image"):
        return list(range(1, count))
    if image.format != "TIFF":
        return list(range(count))
    pages, size = [], image.size
    for page in range(count):
        image.seek(page)
        if image.size == size and not _tags(image).get(_NEW_SUBFILE_TYPE, 0) & _REDUCED:
            pages.append(page)
    image.seek(0)
    return pages or [0]


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})


def _check_single(path: Path, image: Image.Image) -> None:
    count = len(picture_indices(image))
    if count > 1:
        raise VosError(
            f"{path} holds {count} pictures: give it by itself as a video, "
            "or save each picture in a file"
        )


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image turned upright, from its header alone.

    Raises:
        VosError: the file is missing, unreadable, empty, not an image, or of several pictures.
    """
    with open_pictures(path) as image:
        _check_single(path, image)
        return upright_size(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (height, width) of an opened image turned upright."""
    width, height = image.size
    sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
    return (width, height) if sideways else (height, width)


def read_image(path: Path, *, tones: Tones | None = None) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Grey images are repeated over the channels and alpha is dropped. More than 8 bits are scaled by
    the values that occur; see `vos.media.tones`.

    Args:
        tones: those of the video that the image is a frame of; None scales it by itself.

    Raises:
        VosError: the file is missing, unreadable, truncated, not an image, or of several pictures.
    """
    with _explained(path), Image.open(path) as image:
        _check_single(path, image)
        return rgb_of(path, image, tones=tones)


def rgb_of(path: Path, image: Image.Image, *, tones: Tones | None = None) -> np.ndarray:
    """Return the picture that an opened image is at, as `read_image` does."""
    values = deep_values(path, image)
    if values is not None:
        scale = tones.scale if tones else scale_of([values])
        scaled = scale.apply(values)
        image = Image.fromarray(scaled if scaled.ndim == 2 else np.ascontiguousarray(scaled))
    elif image.mode == "RGB" and not image.getexif().get(_EXIF_ORIENTATION):
        return np.array(image)
    else:
        image = ImageOps.exif_transpose(image)
    return np.array(image.convert("RGB"))


def tones_of(paths: Sequence[Path]) -> Tones:
    """Return the tones that the images of one video share."""

    def values(index: int) -> np.ndarray | None:
        with open_pictures(paths[index]) as image:
            return deep_values(paths[index], image)

    return Tones(len(paths), values)


def deep_values(path: Path, image: Image.Image) -> np.ndarray | None:
    """Return the values of a picture of more than 8 bits, upright; None for one of 8.

    (H, W) of any integer or floating-point type, or (H, W, 3) uint16 RGB, which Pillow would cut
    to 8 bits before anyone has seen them.
    """
    cut = any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))
    if image.mode == "F" or image.mode.startswith("I"):
        return np.array(ImageOps.exif_transpose(image))
    if not cut:
        return None
    import cv2

    options = cv2.IMREAD_COLOR_BGR | cv2.IMREAD_ANYDEPTH
    found, pages = cv2.imreadmulti(str(path), image.tell(), 1, flags=options)
    if not found or pages[0].dtype != np.uint16:
        return None
    return pages[0][..., ::-1]


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB or (H, W) uint8 grey image, atomically.

    The format follows the suffix; lossy ones are written at quality 95.

    Raises:
        VosError: no such format, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise VosError(f"cannot write {path}: choose one of the image suffixes {known}")
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in _LOSSY else {}
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(image)).save(temporary, **options)
