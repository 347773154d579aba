"""Run lengths by the COCO rule, and files that COCO and YouTube-VOS tools read."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO

from vos.errors import VosError
from vos.media import RleWriter, decode_rle, encode_rle, object_ids, read_rle
from vos.media.rle import names_in_rle

SIZE = (19, 31)


def blocks(seed: int, ids: list[int]) -> np.ndarray:
    picks = np.random.default_rng(seed).integers(0, len(ids), (5, 8))
    return np.array(ids, np.uint8)[picks.repeat(4, 0).repeat(4, 1)[:19, :31]]


@pytest.fixture
def masks() -> list[np.ndarray]:
    """Object 3 leaves after frame 1, object 200 comes in frame 2; frame 3 is empty."""
    ids = [[0, 1, 3], [0, 1, 3, 255], [0, 1, 200], [0], [0, 1, 200]]
    return [blocks(seed, present) for seed, present in enumerate(ids)]


def test_runs_go_down_the_columns() -> None:
    binary = np.array([[0, 1], [1, 1], [0, 0]])
    # Column by column: 0 1 0, 1 1 0, so the runs are 1 zero, 1 one, 1 zero, 2 ones, 1 zero.
    assert (
        encode_rle(binary)["counts"]
        == coco.frPyObjects({"size": [3, 2], "counts": [1, 1, 1, 2, 1]}, 3, 2)["counts"].decode()
    )
    np.testing.assert_array_equal(decode_rle({"size": [3, 2], "counts": [1, 1, 1, 2, 1]}), binary)


@pytest.mark.parametrize("binary", [blocks(0, [0, 1]), np.zeros(SIZE), np.ones(SIZE, bool)])
def test_encoding_is_undone_by_decoding(binary: np.ndarray) -> None:
    rle = encode_rle(binary)
    assert json.loads(json.dumps(rle)) == rle
    np.testing.assert_array_equal(decode_rle(rle), binary)


@pytest.mark.parametrize(
    "bad", [{}, {"size": [3, 2]}, {"size": 3, "counts": "1"}, {"size": [3, 2], "counts": [1, 1]}]
)
def test_bad_runs(bad: dict) -> None:
    with pytest.raises(VosError, match="not a COCO run-length encoding"):
        decode_rle(bad)


@pytest.mark.parametrize("name", ["masks.json", "masks.ytvis.json"])
def test_a_video_goes_out_and_comes_back(
    tmp_path: Path, masks: list[np.ndarray], name: str
) -> None:
    path = tmp_path / "new é" / name
    with RleWriter(path, name="kitten", size=SIZE) as writer:
        for index, mask in enumerate(masks):
            writer.write(index, mask)
        assert not path.exists()
    back = list(read_rle(path))
    assert len(back) == 5
    for mask, other in zip(masks, back, strict=True):
        np.testing.assert_array_equal(other, np.where(mask == 255, 0, mask))
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_coco_opens_the_file(tmp_path: Path, masks: list[np.ndarray]) -> None:
    path = tmp_path / "masks.json"
    names = ["a.png", "c.png", "d.png", "e.png", "x.png", "y.png"]
    with RleWriter(
        path,
        name="kitten",
        size=SIZE,
        frame_count=6,
        file_name=names.__getitem__,
        object_names={1: "Kätzchen", 3: "ball"},
    ) as writer:
        for index, mask in enumerate(masks):
            writer.write(index, mask)
    with contextlib.redirect_stdout(io.StringIO()):
        opened = COCO(str(path))
    files = [image["file_name"] for image in opened.loadImgs(opened.getImgIds())]
    assert files == [f"kitten/{name}" for name in names]
    assert {item["id"]: item["name"] for item in opened.loadCats(opened.getCatIds())} == {
        1: "Kätzchen",
        3: "ball",
        200: "object 200",
    }
    found = 0
    for image_id, mask in zip(opened.getImgIds(), masks, strict=False):
        entries = opened.loadAnns(opened.getAnnIds(imgIds=[image_id]))
        assert [entry["category_id"] for entry in entries] == object_ids(mask)
        for entry in entries:
            found += 1
            expected = mask == entry["category_id"]
            np.testing.assert_array_equal(opened.annToMask(entry), expected)
            rows, columns = np.nonzero(expected)
            x, y = columns.min(), rows.min()
            assert entry["area"] == expected.sum()
            assert entry["bbox"] == [x, y, columns.max() - x + 1, rows.max() - y + 1]
    assert found == len(opened.anns) == sum(len(object_ids(mask)) for mask in masks)


def test_polygons_of_other_tools_are_read(tmp_path: Path) -> None:
    image = {"height": 8, "width": 10}
    content = {
        "images": [{"id": 7, **image}, {"id": 3, **image}],
        "categories": [{"id": 5, "name": "box"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}
        ],
    }
    (tmp_path / "other.json").write_text(json.dumps(content))
    first, second = read_rle(tmp_path / "other.json")
    assert first.sum() == 0
    expected = np.zeros((8, 10), np.uint8)
    expected[1:4, 2:6] = 5
    np.testing.assert_array_equal(second, expected)


def test_the_other_layout_is_that_of_youtube_vos(tmp_path: Path, masks: list[np.ndarray]) -> None:
    path = tmp_path / "masks.ytvis.json"
    with RleWriter(path, name="kitten", size=SIZE, frame_count=7) as writer:
        for index, mask in enumerate(masks):
            writer.write(index, mask)
    content = json.loads(path.read_text())
    (video,) = content["videos"]
    assert (video["name"], video["height"], video["width"], video["length"]) == ("kitten", *SIZE, 7)
    assert len(video["file_names"]) == 7
    assert [category["id"] for category in content["categories"]] == [1, 3, 200]
    assert [entry["id"] for entry in content["annotations"]] == [1, 3, 200]
    for entry in content["annotations"]:
        assert (entry["video_id"], entry["iscrowd"]) == (1, 0)
        assert entry["category_id"] == entry["id"]
        for index in range(7):
            expected = masks[index] == entry["id"] if index < 5 else np.zeros(SIZE, bool)
            rle, area, box = (entry[name][index] for name in ("segmentations", "areas", "bboxes"))
            if not expected.any():
                assert rle is area is box is None
                continue
            np.testing.assert_array_equal(coco.decode(rle), expected)
            rows, columns = np.nonzero(expected)
            assert area == expected.sum()
            x, y = columns.min(), rows.min()
            assert box == [x, y, columns.max() - x + 1, rows.max() - y + 1]


def test_any_order_and_the_last_writing_counts(tmp_path: Path, masks: list[np.ndarray]) -> None:
    path = tmp_path / "masks.json"
    with RleWriter(path, name="kitten", size=SIZE) as writer:
        writer.write(0, masks[2])
        for index in reversed(range(5)):
            writer.write(index, masks[index])
    for mask, other in zip(masks, read_rle(path), strict=True):
        np.testing.assert_array_equal(other, np.where(mask == 255, 0, mask))


def test_no_object_at_all(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    with RleWriter(path, name="nothing", size=SIZE) as writer:
        writer.write(1, np.zeros(SIZE, np.uint8))
    assert [mask.sum() for mask in read_rle(path)] == [0, 0]


def test_a_failed_block_leaves_nothing(tmp_path: Path, masks: list[np.ndarray]) -> None:
    with (
        pytest.raises(VosError, match=r"frame 1 is 5 x 4"),
        RleWriter(tmp_path / "masks.json", name="kitten", size=SIZE) as writer,
    ):
        writer.write(0, masks[0])
        writer.write(1, np.zeros((4, 5), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tracks.json"
    polygon = [[2, 1, 6, 1, 6, 4]]
    content = {
        "images": [{"id": 7, "height": 8, "width": 10}],
        "categories": [{"id": 5, "name": "box"}],
        "annotations": [
            {"image_id": 7, "category_id": 5, "track_id": "a1", "segmentation": polygon}
        ],
    }
    path.write_text(json.dumps(content))
    with pytest.raises(VosError, match="'a1', which is no number"):
        list(read_rle(path))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    for text in ("[]", "{}", '{"videos": [], "annotations": []}', "no JSON", '{"videos": [{}]}'):
        path.write_text(text)
        with pytest.raises(VosError) as error:
            list(read_rle(path))
        assert str(path) in str(error.value)


@pytest.mark.parametrize("ids", [(0, 1), (1, 255), (7, 300, 1_000_001)])
def test_ids_that_masks_cannot_hold_are_numbered_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ids: tuple[int, ...]
) -> None:
    boxes = np.zeros((len(ids), 8, 9), bool)
    for number in range(len(ids)):
        boxes[number, 2 * number : 2 * number + 2] = True
    annotations = [
        {"image_id": 1, "category_id": id, "segmentation": encode_rle(box)}
        for id, box in zip(ids, boxes, strict=True)
    ]
    kinds = [{"id": id, "name": f"kind {id}"} for id in ids]
    images = [{"id": 1, "height": 8, "width": 9}]
    content = {"images": images, "annotations": annotations, "categories": kinds}
    path = tmp_path / "others.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    (mask,) = read_rle(path)
    numbers = range(1, len(ids) + 1)
    np.testing.assert_array_equal(mask, sum(n * box for n, box in zip(numbers, boxes, strict=True)))
    assert f"it has {', '.join(map(str, ids))}" in caplog.text
    named = zip(numbers, (f"kind {id}" for id in ids), strict=True)
    assert names_in_rle(content) == dict(named)


def test_what_is_wrong_with_a_file_is_said_in_words(tmp_path: Path) -> None:
    small = encode_rle(np.ones((4, 4), bool))
    entry = {"image_id": 1, "category_id": 1, "segmentation": small}
    image = {"id": 1, "height": 8, "width": 9, "file_name": "a.jpg"}
    path = tmp_path / "others.json"
    for content, says in (
        ({"a": 1}, "no file of COCO or YouTube-VIS annotations: there is no 'annotations'"),
        ({"images": [image], "annotations": [entry]}, "run lengths of 4 x 4 .* frame a.jpg of 9 x"),
        ({"images": [image], "annotations": [{"image_id": 1}]}, "there is no 'category_id'"),
        ({"videos": [{}], "annotations": [{"id": "cat"}]}, "known by 'cat', which is no number"),
    ):
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(VosError, match=says):
            list(read_rle(path))
