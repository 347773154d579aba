"""Views of objects with masks, drawn from public data sets, for `fit_interactive.py`.

Each folder below one that the user gives is a data set. Three have a form of their own:

- ``bsds``: ``images`` and ``groundTruth`` of BSDS500 (Arbelaez et al., 2011; research use): what
  several people saw in a photo, in their own detail
- ``ccp``: ``photos`` and ``pixel-level`` of Clothing Co-Parsing (Yang et al., 2014; research use)
- ``camvid``: ``train``, ``trainannot`` and so on of CamVid (Brostow et al., 2009; research use)

In all others ``images`` holds photos and ``masks`` a PNG of the same name for each: object ids with
0 for the background and 255 for what is neither, or 255 alone for what stands out.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from scipy.io import loadmat

from vos.backbones.inference import FeatureExtractor
from vos.segmentation.cues import CELLS, directions
from vos.segmentation.windows import Box, window_around

SIDE = 320  # of a view, in pixels
LONGEST = 480  # side of a photo that is kept
TOKEN = 8
CLOSE = 0.5  # share of views that show an object as a second look does
SMALLEST, LARGEST = 0.004, 0.5  # share of a photo that an object takes
COMPOSITES = 0.25  # of them for each view of a photo
VIEWS = {"bsds": 2, "ccp": 0.5, "coco": 4, "people": 2}  # of each photo of a set, else one
CUT_OUTS = {"bsds": 0.05, "camvid": 0}  # how often a photo of a set gives a cut-out, else 1


class Photo(NamedTuple):
    """(H, W, 3) uint8 RGB, and masks (H, W) bool of objects in it."""

    image: np.ndarray
    masks: list[np.ndarray]


class View(NamedTuple):
    """A square part of a photo, or a photo with cut-outs.

    Attributes:
        image: (2 h, 2 w, 3) uint8 RGB.
        vectors: (h, w, n) float16, `vos.segmentation.cues.directions` of its features.
        masks: (N, 2 h, 2 w) uint8, shares of cells that objects cover, of 255.
    """

    image: np.ndarray
    vectors: np.ndarray
    masks: np.ndarray


def read_bsds(root: Path, generator: np.random.Generator) -> Iterator[Photo]:
    for path in sorted(root.glob("groundTruth/*/*.mat")):
        found: list[np.ndarray] = []
        unions: list[np.ndarray] = []
        for told in loadmat(path)["groundTruth"][0]:
            regions = told["Segmentation"][0, 0].astype(int)
            found += single_regions(regions) + 2 * whole_figures(regions)
            unions += unions_of_neighbours(regions, generator)
        masks = some(found, 12, generator) + some(unions, 4, generator)
        yield Photo(read_rgb(root / "images" / path.parent.name / f"{path.stem}.jpg"), masks)


def single_regions(regions: np.ndarray) -> list[np.ndarray]:
    return [regions == i for i in np.unique(regions) if is_like_an_object(regions == i)]


def whole_figures(regions: np.ndarray) -> list[np.ndarray]:
    """What hangs together of the regions that hardly touch the border of the photo."""
    inner = [i for i in np.unique(regions) if is_inner(regions == i)]
    _, parts = cv2.connectedComponents(np.isin(regions, inner).astype(np.uint8))
    return [parts == i for i in range(1, parts.max() + 1) if is_like_an_object(parts == i)]


def unions_of_neighbours(
    regions: np.ndarray, generator: np.random.Generator, count: int = 6
) -> list[np.ndarray]:
    """Some pairs and triples of inner regions that touch."""
    pairs: set[tuple[int, int]] = set()
    for here, there in ((regions[:, 1:], regions[:, :-1]), (regions[1:], regions[:-1])):
        touch = np.unique(np.sort(np.stack([here, there], -1)[here != there]), axis=0)
        pairs |= {(int(a), int(b)) for a, b in touch}
    inner = {i for i in np.unique(regions) if is_inner(regions == i)}
    chosen = some([pair for pair in sorted(pairs) if inner.issuperset(pair)], 99, generator)
    unions = []
    for pair in chosen[:count]:
        more = [other for other in chosen if len(set(other) & set(pair)) == 1]
        extra = more[generator.integers(len(more))] if more and generator.random() < 0.5 else ()
        unions.append(np.isin(regions, (*pair, *extra)))
    return [union for union in unions if is_like_an_object(union)]


def is_inner(mask: np.ndarray) -> bool:
    return on_border(mask) < 0.8 * np.sqrt(mask.sum()) and mask.mean() < 0.3


def is_like_an_object(mask: np.ndarray) -> bool:
    """Whether a region is of one piece, compact, and not cut off by the border of the photo."""
    if not SMALLEST < mask.mean() < LARGEST or on_border(mask) > 0.24 * sum(mask.shape):
        return False
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    area = mask.sum()
    return bool(
        on_border(mask) <= 0.3 * cv2.arcLength(outline, True)
        and cv2.contourArea(outline) >= 0.9 * area
        and area > 0.5 * max(cv2.contourArea(cv2.convexHull(outline)), 1)
    )


def on_border(mask: np.ndarray) -> int:
    return int(mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum())


def read_ccp(root: Path, generator: np.random.Generator) -> Iterator[Photo]:
    for path in sorted(root.glob("pixel-level/*.mat")):
        labels = loadmat(path)["groundtruth"]
        image = read_rgb(root / "photos" / f"{path.stem}.jpg")
        if labels.shape == image.shape[:2]:
            clothes = single_regions(labels)[:2] if int(path.stem) % 4 == 0 else []
            yield Photo(image, [labels > 0, *clothes])


def read_camvid(root: Path, generator: np.random.Generator) -> Iterator[Photo]:
    paths = sorted(root.glob("*annot/*.png"))[::4]
    for path in paths:
        labels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        masks = []
        for kind in (8, 9, 10):  # cars, pedestrians, cyclists
            _, parts = cv2.connectedComponents((labels == kind).astype(np.uint8))
            masks += [parts == i for i in range(1, parts.max() + 1)]
        masks = [mask for mask in masks if 0.006 < mask.mean() < 0.3]
        image = read_rgb(root / path.parent.name.removesuffix("annot") / path.name)
        yield Photo(image, sorted(masks, key=np.sum, reverse=True)[:4])


def read_masks(root: Path, generator: np.random.Generator) -> Iterator[Photo]:
    for path in sorted((root / "masks").glob("*.png")):
        labels = np.array(Image.open(path))
        if labels.ndim == 3:
            labels = labels.max(2)
        ids = np.unique(labels[labels > 0])
        if list(ids) == [255]:
            masks = separate_figures(labels == 255)
        else:
            masks = [labels == i for i in ids if i < 255]
        masks = [mask for mask in masks if SMALLEST < mask.mean() < LARGEST]
        named = (root / "images").glob(f"{glob.escape(path.stem)}.*")
        image = read_rgb(next(named, root / "images" / path.stem))
        if labels.shape == image.shape[:2]:
            yield Photo(image, sorted(masks, key=np.sum, reverse=True)[:12])


def separate_figures(mask: np.ndarray) -> list[np.ndarray]:
    """Return what stands out, as one object where one part is most of it; else each larger part."""
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    sizes = statistics[1:, cv2.CC_STAT_AREA]
    if sizes.max() >= 0.85 * sizes.sum():
        return [mask]
    return [parts == 1 + i for i in np.flatnonzero(sizes >= 0.15 * sizes.sum())]


Reader = Callable[[Path, np.random.Generator], Iterator[Photo]]
READERS: dict[str, Reader] = {"bsds": read_bsds, "ccp": read_ccp, "camvid": read_camvid}


def read_photos(root: Path, generator: np.random.Generator) -> dict[str, list[Photo]]:
    """Return the photos with objects of each data set below a folder, not larger than needed."""
    photos = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        read = READERS.get(folder.name, read_masks)
        found = [at_most(photo) for photo in read(folder, generator)]
        photos[folder.name] = [photo for photo in found if photo.masks]
        print(f"{folder.name}: {len(photos[folder.name])} photos", flush=True)
    return {name: found for name, found in photos.items() if found}


def at_most(photo: Photo) -> Photo:
    scale = min(1, LONGEST / max(photo.image.shape[:2]))
    size = (round(photo.image.shape[1] * scale), round(photo.image.shape[0] * scale))
    masks = [resized(mask.astype(np.uint8), size) > 0 for mask in photo.masks]
    return Photo(resized(photo.image, size), [mask for mask in masks if mask.mean() > SMALLEST])


def draw_views(
    photos: dict[str, list[Photo]],
    backgrounds: Sequence[Path],
    extractors: Sequence[FeatureExtractor],
    generator: np.random.Generator,
) -> Iterator[View]:
    """Yield views of all photos, and composites, in any order.

    Args:
        extractors: a view gets the features of one of them in turn.
    """
    jobs: list[Photo | None] = []
    for name, some_photos in photos.items():
        for photo in some_photos:
            count = int(VIEWS.get(name, 1) + generator.random())
            jobs += [photo] * count
    jobs += [None] * int(COMPOSITES * len(jobs))
    for number, index in enumerate(generator.permutation(len(jobs))):
        photo = jobs[index]
        image, masks = (
            part_of(photo, generator) if photo else composite(photos, backgrounds, generator)
        )
        if photo and generator.random() < 0.3:
            image = relit(image, generator, 0.7).astype(np.uint8)
        cells = CELLS * SIDE // TOKEN
        shares = [resized(mask, (cells, cells)) for mask in masks]
        shares = [share for share in shares if 0.003 < share.mean() / 255 < 0.6]
        if shares:
            features = extractors[number % len(extractors)]([image])[0].float().cpu().numpy()
            cells_of_image = resized(image, (cells, cells))
            yield View(cells_of_image, directions(features).astype(np.float16), np.stack(shares))


def part_of(photo: Photo, generator: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """A nearly square part around one of the objects, by chance mirrored."""
    mask = photo.masks[generator.integers(len(photo.masks))]
    inside = (close_part if generator.random() < CLOSE else wide_part)(mask, generator)
    order = slice(None, None, -1 if generator.random() < 0.5 else 1)
    masks = [m[inside] for m in photo.masks if m[inside].sum() > 0.5 * m.sum()]
    size = (SIDE, SIDE)
    image = np.ascontiguousarray(resized(photo.image[inside], size)[:, order])
    return image, [resized(m.astype(np.uint8) * 255, size)[:, order] for m in masks]


def close_part(mask: np.ndarray, generator: np.random.Generator) -> tuple[slice, slice]:
    """The window that a frame is looked at in once an object was found, well or not so well."""
    rows, columns = np.nonzero(mask)
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    top, bottom, left, right = generator.uniform(-0.15, 0.25, 4) * (tall, tall, wide, wide)
    box = Box(
        int(max(0, columns.min() - left)),
        int(max(0, rows.min() - top)),
        int(min(mask.shape[1], columns.max() + 1 + right)),
        int(min(mask.shape[0], rows.max() + 1 + bottom)),
    )
    window = window_around(box, mask.shape)
    return slice(window.top, window.bottom), slice(window.left, window.right)


def wide_part(mask: np.ndarray, generator: np.random.Generator) -> tuple[slice, slice]:
    """A part in which an object is of any size and anywhere."""
    rows, columns = np.nonzero(mask)
    share = np.exp(generator.uniform(np.log(0.01), np.log(0.3)))
    side = max(np.sqrt(mask.sum() / share), 1.05 * max(np.ptp(rows), np.ptp(columns)) + 1, 120)
    height, width = (min(side, length) for length in mask.shape)
    height, width = int(min(height, 1.3 * width)), int(min(width, 1.3 * height))
    top = offset(rows.min(), rows.max() + 1, height, mask.shape[0], generator)
    left = offset(columns.min(), columns.max() + 1, width, mask.shape[1], generator)
    return slice(top, top + height), slice(left, left + width)


def offset(first: int, last: int, length: int, whole: int, generator: np.random.Generator) -> int:
    """Where a part begins that shows an object from first to last, as far as it can."""
    ends = (min(first, last - length), max(first, last - length))
    low, high = (int(np.clip(end, 0, whole - length)) for end in ends)
    return int(generator.integers(low, high + 1))


def composite(
    photos: dict[str, list[Photo]], backgrounds: Sequence[Path], generator: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """One to three cut-outs on a photo, each in a light of its own, later ones in front.

    Some are the same object again, as people in a crowd are alike.
    """
    behind = read_rgb(backgrounds[generator.integers(len(backgrounds))])
    side = int(min(behind.shape[:2]) * generator.uniform(0.6, 1))
    top, left = (generator.integers(length - side + 1) for length in behind.shape[:2])
    behind = resized(behind[top : top + side, left : left + side], (SIDE, SIDE))
    image = relit(behind, generator)
    masks: list[np.ndarray] = []
    names = list(photos)
    odds = np.array([CUT_OUTS.get(name, 1) * len(photos[name]) for name in names])
    chosen: tuple[np.ndarray, np.ndarray] | None = None
    for _ in range(generator.choice([1, 2, 2, 3])):
        if chosen is None or generator.random() < 0.7:
            name = names[generator.choice(len(names), p=odds / odds.sum())]
            photo = photos[name][generator.integers(len(photos[name]))]
            which = 0 if name == "ccp" else generator.integers(len(photo.masks))
            chosen = (photo.image, photo.masks[which])
        front, cover = placed_cut_out(*chosen, generator)
        masks = [share * (1 - cover) for share in masks] + [cover]
        image = image * (1 - cover[..., None]) + front * cover[..., None]
    if generator.random() < 0.5:
        image = cv2.GaussianBlur(image, (3, 3), 0)
    image += generator.normal(0, generator.uniform(0, 6), image.shape)
    return image.clip(0, 255).astype(np.uint8), [(m * 255).astype(np.uint8) for m in masks]


def placed_cut_out(
    image: np.ndarray, mask: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """An object, relit, of any size and anywhere on a view: colours, and how far it covers it."""
    rows, columns = np.nonzero(mask)
    inside = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    image, cover = image[inside], mask[inside].astype(np.float32)
    longest = SIDE * np.exp(generator.uniform(np.log(0.18), np.log(0.95)))
    width, height = (max(6, int(n * longest / max(cover.shape))) for n in cover.shape[::-1])
    if min(cover.shape) > 60:
        cover = cv2.erode(cover, np.ones((3, 3)))
    cover = resized(cv2.GaussianBlur(cover, (3, 3), 0), (width, height))
    image = relit(resized(image, (width, height)), generator)
    if generator.random() < 0.5:
        image, cover = image[:, ::-1], cover[:, ::-1]
    y, x = (int(generator.integers(-n // 4, SIDE - n * 3 // 4 + 1)) for n in (height, width))
    shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
    shifted = [cv2.warpAffine(part.copy(), shift, (SIDE, SIDE)) for part in (image, cover)]
    return shifted[0], shifted[1]


def relit(image: np.ndarray, generator: np.random.Generator, much: float = 1) -> np.ndarray:
    """Float colours in 0 to 255 of another gamma, contrast and tint."""
    gamma, contrast = np.exp(generator.normal(0, [0.25 * much, 0.15 * much]))
    tint = np.exp(generator.normal(0, 0.05 * much, 3))
    return ((((image / 255) ** gamma - 0.5) * contrast + 0.5) * tint).clip(0, 1) * 255


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """To (width, height), smoothly."""
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def some(items: Iterable, count: int, generator: np.random.Generator) -> list:
    """At most ``count`` of them, in any order."""
    listed = list(items)
    return [listed[i] for i in generator.permutation(len(listed))[:count]]


def save_view(view: View, path: Path) -> None:
    np.savez(path, **view._asdict())


def load_view(path: Path) -> View:
    with np.load(path) as arrays:
        return View(*(arrays[name] for name in View._fields))
