"""Label Studio's JSON: painted regions and shapes, and the names of their images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vos.errors import UsageError, VosError
from vos.media.label_studio import decode_brush, is_label_studio, read_label_studio

SIZE = (32, 48)
PATH = Path("given.json")


def encode_brush(values: np.ndarray, *, blocks: int = 5000) -> list[int]:
    """Run lengths after the published description: repeated values, and values one by one."""
    bits = f"{len(values):032b}" + f"{8 - 1:05b}"
    bits += "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    ends = [*(np.flatnonzero(np.diff(values)) + 1), len(values)]
    start = 0
    for end in ends:
        while start < end:
            length = min(end - start, blocks)
            index, width = next((i, w) for i, w in enumerate((3, 4, 8, 16)) if length <= 2**w)
            repeated = length > 2
            bits += f"{int(repeated)}{index:02b}{length - 1:0{width}b}"
            bits += "".join(
                f"{value:08b}" for value in values[start : start + (1 if repeated else length)]
            )
            start += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def painted(mask: np.ndarray) -> list[int]:
    rgba = np.repeat(np.where(mask, 255, 0).astype(np.uint8).ravel(), 4)
    return encode_brush(rgba)


def region(kind: str, label: str | None = "dog", **value: Any) -> dict[str, Any]:
    labels = {f"{kind}labels": [label]} if label else {}
    return {
        "id": "a1",
        "type": f"{kind}labels" if label else kind,
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "value": {**value, **labels},
    }


def task(*regions: dict[str, Any], image: str = "/data/upload/1/00ab34cd-shot_9.png"):
    return {"id": 3, "data": {"image": image}, "annotations": [{"result": list(regions)}]}


def polygon(label: str | None = "dog", left: float = 10, right: float = 30) -> dict[str, Any]:
    corners = [[left, 8], [right, 8], [right, 20], [left, 20]]
    return region("polygon", label, points=[[x / 48 * 100, y / 32 * 100] for x, y in corners])


def read(*tasks: dict[str, Any], **how: bool):
    found = read_label_studio(PATH, list(tasks), **how)
    return found.names, dict(found.masks)


@pytest.mark.parametrize("blocks", [5000, 7, 2])
def test_run_lengths_of_a_brush(blocks: int) -> None:
    rng = np.random.default_rng(blocks)
    values = np.repeat(rng.integers(0, 256, 40, np.uint8), rng.integers(1, 300, 40))
    np.testing.assert_array_equal(
        decode_brush(encode_brush(values, blocks=blocks), len(values)), values
    )


def test_painted_regions_are_where_alpha_is() -> None:
    mask = np.random.default_rng(0).random(SIZE) > 0.5
    names, masks = read(task(region("brush", format="rle", rle=painted(mask))))
    assert names == {1: "dog"} and list(masks) == ["shot_9"]
    np.testing.assert_array_equal(masks["shot_9"], mask)


def test_polygons_are_in_hundredths() -> None:
    mask = read(task(polygon()))[1]["shot_9"]
    assert mask[8:20, 10:30].all() and mask.sum() == 12 * 20


def test_ellipses_have_their_area() -> None:
    shape = region("ellipse", x=50, y=50, radiusX=25, radiusY=25)
    mask = read(task(shape))[1]["shot_9"]
    assert mask.sum() == pytest.approx(np.pi * 12 * 8, rel=0.02)


def test_a_rectangle_is_a_mask_only_if_that_is_asked_for() -> None:
    box = region("rectangle", x=25, y=25, width=25, height=50, rotation=0)
    with pytest.raises(UsageError, match=r"has 1 boxes.*`fill_boxes=True`"):
        read(task(box))
    mask = read(task(box), fill_boxes=True)[1]["shot_9"]
    assert mask[8:24, 12:24].all() and mask.sum() == 16 * 12
    box["value"]["rotation"] = 90  # around its upper left corner, clockwise
    mask = read(task(box), fill_boxes=True)[1]["shot_9"]
    assert mask[8:20, :12].all() and mask.sum() == 12 * 12


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/1/00ab34cd-shot_9.png",
        "/data/local-files/?d=cam%2Fshot_9.png",
        "https://example.org/cam/shot_9.jpeg?X-Token=a/b.c",
        "s3://bucket/shot_9.png",
        "shot_9.png",
    ],
)
def test_images_by_any_address(image: str) -> None:
    assert list(read(task(polygon(), image=image))[1]) == ["shot_9"]


def test_a_label_may_stand_in_a_region_of_its_own() -> None:
    said = {"id": "a1", "type": "labels", "value": {"labels": ["cat"]}}
    assert read(task(polygon(label=None), said))[0] == {1: "cat"}


def test_objects_are_known_by_labels_on_several_images() -> None:
    other = "/data/upload/1/00ab34cd-shot_8.png"
    names, masks = read(task(polygon()), task(polygon("cat", 32, 40), polygon(), image=other))
    assert names == {1: "dog", 2: "cat"}
    assert [np.unique(mask).tolist() for mask in masks.values()] == [[0, 1], [0, 1, 2]]
    with pytest.raises(UsageError, match="2 shapes on frame shot_9 are 'dog'"):
        read(task(polygon(), polygon()), task(polygon(), image=other))
    assert read(task(polygon(), polygon("dog", 32, 40)))[0] == {1: "dog 1", 2: "dog 2"}


def test_what_is_no_region_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    nose, choice = region("keypoint", x=1, y=2), {"type": "choices", "value": {"choices": ["yes"]}}
    with caplog.at_level(logging.WARNING, "vos"):
        assert read(task(nose, choice, polygon()))[0] == {1: "dog"}
    assert "left out what covers no area: 1 keypoint" in caplog.text


def test_of_two_annotations_of_an_image_none_is_chosen() -> None:
    twice = task(polygon())
    twice["annotations"].append({"result": [polygon("cat")]})
    with pytest.raises(UsageError, match="has 2 annotations of shot_9: keep one"):
        read(twice)
    twice["annotations"][0]["was_cancelled"] = True
    assert read(twice)[0] == {1: "cat"}


def test_exports_are_told_from_those_of_other_tools() -> None:
    assert is_label_studio([task(polygon())])
    assert not is_label_studio({"images": []})
    assert not is_label_studio([1])
    assert not is_label_studio([{"image": "a.png", "label": []}])  # its JSON-MIN


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (task({"id": "a1"}), "no file of Label Studio: KeyError"),
        ({**task(), "data": {"length": 4}}, "task 3 names no image"),
        (task(region("brush", rle=painted(np.ones(SIZE))[:9])), "end too early"),
        (task(region("brush", rle=painted(np.ones((8, 8))))), "a brush of another size"),
        (task(region("brush", rle=[300])), "a brush on frame shot_9"),
        (task({**polygon(), "image_rotation": 90}), "turned"),
    ],
)
def test_damaged_files_are_told_in_a_line(damaged: dict[str, Any], says: str) -> None:
    with pytest.raises(VosError, match=says):
        read(damaged)
