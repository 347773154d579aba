"""Annotations of other tools as masks: which masks of which frames and objects a file gives."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vos.errors import UsageError, VosError
from vos.media import object_ids, write_mask
from vos.media.mots import write_mots
from vos.media.rle import encode_rle
from vos.media.video_writer import VideoWriter
from vos.segmentation.given_masks import MaskFile, open_with_masks

HEIGHT, WIDTH = 32, 48
SQUARE = np.zeros((HEIGHT, WIDTH), np.uint8)
SQUARE[8:20, 10:30] = 2
CORNERS = [10, 8, 30, 8, 30, 20, 10, 20]  # x, y, x, y, ... as COCO writes a polygon


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(4):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"shot_{index + 8}.png")
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    with VideoWriter(tmp_path / "film.mp4", fps=10, size=(HEIGHT, WIDTH)) as writer:
        for _ in range(4):
            writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return tmp_path / "film.mp4"


def coco(file_name: str, segmentation: Any) -> dict[str, Any]:
    """One image with one object, as Label Studio and CVAT export images."""
    return {
        "images": [{"id": 7, "file_name": file_name, "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "segmentation": segmentation}],
        "categories": [{"id": 2, "name": "thing"}],
    }


def youtube_vis(names: list[str]) -> dict[str, Any]:
    """A track that begins on the third frame."""
    shown = encode_rle(SQUARE == 2)
    return {
        "videos": [{"id": 1, "length": 4, "height": HEIGHT, "width": WIDTH, "file_names": names}],
        "annotations": [
            {"id": 2, "video_id": 1, "category_id": 5, "segmentations": [None, None, shown, None]}
        ],
        "categories": [{"id": 5, "name": "thing"}],
    }


def cvat_images(names: list[str]) -> str:
    points = ";".join(f"{x},{y}" for x, y in zip(CORNERS[::2], CORNERS[1::2], strict=True))
    shape = f'<polygon label="thing" points="{points}"/>'
    image = f'<image name="{names[2]}" width="{WIDTH}" height="{HEIGHT}">{shape}</image>'
    return f"<annotations>{image}</annotations>"


def cvat_video(_: list[str]) -> str:
    shape = '<mask frame="2" rle="0, 240" left="10" top="8" width="20" height="12"/>'
    return f'<annotations><track id="0" label="thing">{shape}</track></annotations>'


def label_studio(names: list[str]) -> list[dict[str, Any]]:
    """The third image is the only one with a region."""
    corners = np.reshape(CORNERS, (4, 2)) * (100 / WIDTH, 100 / HEIGHT)
    region = {
        "type": "polygonlabels",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "value": {"points": corners.tolist(), "polygonlabels": ["thing"]},
    }
    return [
        {"data": {"image": f"/data/{name}"}, "annotations": [{"result": [region] * (i == 2)}]}
        for i, name in enumerate(names)
    ]


FORMS = {
    "cvat-images": cvat_images,
    "cvat-video": cvat_video,
    "label-studio": label_studio,
    "polygon": lambda names: coco(names[2], [CORNERS]),
    "run-lengths": lambda names: coco(
        names[2],
        {"size": [HEIGHT, WIDTH], "counts": _runs(SQUARE)},
    ),
    "youtube-vis": youtube_vis,
}


def _runs(mask: np.ndarray) -> list[int]:
    """Run lengths that are not compressed, by columns from background on."""
    flat = np.concatenate([[0], (mask > 0).ravel(order="F"), [2]])
    places = np.flatnonzero(np.diff(flat.astype(int)))
    return np.diff(np.concatenate([[0], places])).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_annotations_belong_to_the_frames_they_name(
    shot: Path, film: Path, tmp_path: Path, form: str
) -> None:
    make: Callable[[list[str]], Any] = FORMS[form]
    given = tmp_path / ("given.xml" if form.startswith("cvat") else "given.json")
    for video, names in (
        (shot, [f"shot/shot_{index}.png" for index in range(8, 12)]),
        (film, [f"frame_{index:06d}.PNG" for index in range(4)]),
    ):
        content = make(names)
        given.write_text(content if isinstance(content, str) else json.dumps(content))
        _, masks, files, objects = open_with_masks(video, [MaskFile(given)])
        assert files == [given] and list(masks) == [2]
        np.testing.assert_array_equal(masks[2] > 0, SQUARE > 0)
        assert objects == dict.fromkeys(object_ids(masks[2]), "thing")


def test_boxes_are_asked_for(shot: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.xml"
    box = '<box label="thing" xtl="10" ytl="8" xbr="30" ybr="20"/>'
    given.write_text(
        f'<annotations><image name="shot_9.png" width="48" height="32">{box}</image></annotations>'
    )
    with pytest.raises(UsageError, match="1 boxes"):
        open_with_masks(shot, [MaskFile(given)])
    _, masks, *_ = open_with_masks(shot, [MaskFile(given)], fill_boxes=True)
    np.testing.assert_array_equal(masks[1] > 0, SQUARE > 0)


def test_an_archive_of_cvat_gives_its_frames(film: Path, tmp_path: Path) -> None:
    empty = np.zeros_like(SQUARE)
    frames = [(f"frame_{index:06d}", SQUARE if index in (1, 3) else empty) for index in range(4)]
    write_mots(tmp_path / "tracks.zip", frames, "thing")
    _, masks, _, objects = open_with_masks(film, [MaskFile(tmp_path / "tracks.zip")])
    assert list(masks) == [1, 3] and objects == {2: "thing"}
    np.testing.assert_array_equal(masks[3], SQUARE)


def test_annotations_of_a_copy_of_the_video_are_resized(film: Path, tmp_path: Path) -> None:
    for name in ("tracks.zip", "plain.zip"):
        twice = np.kron(SQUARE, np.ones((2, 2), np.uint8))
        if name == "tracks.zip":
            write_mots(tmp_path / name, [("frame_000001", twice)], "thing")
        else:
            write_mask(tmp_path / "1.png", twice)
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.write(tmp_path / "1.png", "1.png")
        _, masks, *_ = open_with_masks(film, [MaskFile(tmp_path / name)])
        np.testing.assert_array_equal(masks[1], SQUARE)


@pytest.mark.parametrize(
    ("file_name", "frame", "says"),
    [
        ("shot_99.png", None, "has a mask of shot_99, which is no frame: did you mean shot_9"),
        ("shot_9.png", "3", "says itself of which frames"),
    ],
)
def test_a_frame_that_is_not_there_is_told(
    shot: Path, tmp_path: Path, file_name: str, frame: str | None, says: str
) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps(coco(file_name, [CORNERS])))
    with pytest.raises(UsageError, match=says):
        open_with_masks(shot, [MaskFile(given, frame)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no file of COCO or YouTube-VIS annotations"),
        ("[1]", "no file of COCO or YouTube-VIS annotations"),
        (json.dumps(coco("shot_9.png", []) | {"annotations": []}), "shows no object on any frame"),
        (
            json.dumps(coco("shot_9.png", [CORNERS])).replace('"width": 48', '"width": 64'),
            "is 64 x 32 pixels, its frame 48 x 32",
        ),
    ],
)
def test_a_file_without_masks_is_told(shot: Path, tmp_path: Path, text: str, says: str) -> None:
    given = tmp_path / "given.json"
    given.write_text(text)
    with pytest.raises(VosError, match=says):
        open_with_masks(shot, [MaskFile(given)])
