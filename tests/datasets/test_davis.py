"""Reading DAVIS folders: the right frames and ids, and one clear line when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.datasets import open_dataset, open_davis
from vos.datasets.davis import numbering_gaps
from vos.errors import MissingError, UsageError, VosError


def test_2017_sequences_in_list_order_with_sparse_ids(davis_2017):
    root = davis_2017("zebra", "ant")
    dataset = open_dataset("davis", root=root)
    assert (dataset.name, dataset.split, dataset.root) == ("davis-2017", "val", root)
    assert [sequence.name for sequence in dataset] == ["zebra", "ant"]
    ant = dataset.sequences[1]
    assert len(ant) == 4
    assert ant.object_ids == [1, 3]
    assert ant.size == ant.frame(0).shape[:2] == ant.mask(3).shape == (24, 40)
    assert ant.annotated == (0, 1, 2, 3)
    assert len(list(ant.frames())) == 4


def test_2017_keeps_void_and_does_not_count_it_as_an_object(davis_2017):
    root = davis_2017("ant")
    path = root / "Annotations/480p/ant/00000.png"
    image = Image.open(path)
    image.putpixel((39, 23), 255)
    image.save(path)
    ant = open_dataset("davis", root=root).sequences[0]
    assert ant.mask(0)[23, 39] == 255
    assert ant.object_ids == [1, 3]


def test_2016_pairs_are_one_binary_object(davis_2016):
    dataset = open_dataset("davis", root=davis_2016, year=2016)
    assert [(s.name, len(s), s.binary) for s in dataset] == [
        ("goat", 3, True),
        ("grey cow", 2, True),
    ]
    mask = dataset.sequences[0].mask(1)
    assert np.unique(mask).tolist() == [0, 1]
    assert mask.sum() == 150
    assert dataset.sequences[1].object_ids == [1]


def test_the_2017_archive_read_as_2016_merges_objects(davis_2017):
    root = davis_2017("ant")
    (root / "ImageSets/2016").mkdir()
    (root / "ImageSets/2016/val.txt").write_text("ant\n")
    several = open_dataset("davis", root=root).sequences[0].mask(0)
    ant = open_dataset("davis", root=root, year=2016).sequences[0]
    assert ant.object_ids == [1]
    assert np.array_equal(ant.mask(0), several > 0)


def test_chosen_sequences_keep_the_given_order(davis_2017):
    root = davis_2017("ant", "bee", "cat")
    dataset = open_dataset("davis", root=root, sequences=["cat", "ant"])
    assert [sequence.name for sequence in dataset] == ["cat", "ant"]


def test_first_mask_only_opens_as_in_test_dev(davis_2017):
    root = davis_2017("ant", split="test-dev")
    for path in sorted((root / "Annotations/480p/ant").glob("*.png"))[1:]:
        path.unlink()
    ant = open_dataset("davis", root=root, split="test-dev").sequences[0]
    assert ant.annotated == (0,)
    assert ant.object_ids == [1, 3]
    with pytest.raises(MissingError, match=r"no mask for frame 00002: .*00002\.png"):
        ant.mask(2)


def test_byte_order_marks_blank_lines_and_repeats_in_a_list_do_no_harm(davis_2017):
    root = davis_2017("ant", "bee")
    text = "\ufeffant\r\n\r\nbee \r\nant\r\n"
    (root / "ImageSets/2017/val.txt").write_bytes(text.encode())
    assert [s.name for s in open_dataset("davis", root=root)] == ["ant", "bee"]


def test_spaces_and_other_scripts_in_paths(davis_2017):
    root = davis_2017("große Straße 猫", folder="mes données (2017)")
    assert open_dataset("davis", root=str(root)).sequences[0].frame(3).shape == (24, 40, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sequences": ["ants"]}, UsageError, "did you mean ant"),
        ({"sequences": []}, UsageError, "name at least one"),
        ({"split": "vall"}, UsageError, "did you mean val"),
        ({"year": 2018}, UsageError, "2016 or 2017"),
        ({"year": 2016}, UsageError, "add `year=2017`"),
    ],
)
def test_unknown_names_offer_near_ones(davis_2017, options, error, message):
    with pytest.raises(error, match=message):
        open_dataset("davis", root=davis_2017("ant"), **options)


def test_unknown_resolution_and_data_set(davis_2017):
    with pytest.raises(UsageError, match="480p"):
        open_davis(davis_2017("ant"), resolution="481p")
    with pytest.raises(UsageError, match="did you mean davis"):
        open_dataset("daviss")


def test_missing_data_names_the_command_that_gets_it(tmp_path):
    with pytest.raises(MissingError, match="vos data download davis-2017"):
        open_dataset("davis", root=tmp_path / "nowhere")
    with pytest.raises(MissingError, match="vos data download davis-2016"):
        open_dataset("davis", root=tmp_path, year=2016)
    with pytest.raises(MissingError, match="`root`"):
        open_dataset("davis")


def test_missing_parts_name_the_file(davis_2017):
    root = davis_2017("ant")
    frame = root / "JPEGImages/480p/ant/00002.jpg"
    frame.rename(frame.with_suffix(".bak"))
    with pytest.raises(MissingError, match="frame 00002 of ant is missing"):
        open_dataset("davis", root=root)
    frame.with_suffix(".bak").rename(frame)
    (root / "ImageSets/2017/val.txt").write_text("ant\nbee\n")
    with pytest.raises(MissingError, match="480p/bee is missing"):
        open_dataset("davis", root=root)
    (root / "Annotations/480p/ant/00000.png").unlink()
    with pytest.raises(MissingError, match=r"first frame: .*00000\.png"):
        open_dataset("davis", root=root)


def test_a_listed_frame_that_is_missing_names_the_file(davis_2016):
    (davis_2016 / "JPEGImages/480p/goat/00002.jpg").unlink()
    with pytest.raises(MissingError, match=r"goat/00002\.jpg of goat is missing"):
        open_dataset("davis", root=davis_2016, year=2016)


@pytest.mark.parametrize("text", ["", "\n\n", "/JPEGImages/480p/ant/00000.jpg\n"])
def test_a_list_that_makes_no_sense(davis_2017, text):
    root = davis_2017("ant")
    (root / "ImageSets/2017/val.txt").write_text(text)
    with pytest.raises(VosError, match=r"val\.txt"):
        open_dataset("davis", root=root)


def test_truncated_and_odd_files_name_the_file(davis_2017):
    root = davis_2017("ant", frames=5)
    images, masks = root / "JPEGImages/480p/ant", root / "Annotations/480p/ant"
    _cut(images / "00001.jpg")
    _cut(masks / "00001.png")
    Image.new("RGB", (30, 30)).save(images / "00002.jpg")
    Image.new("L", (30, 30)).save(masks / "00003.png")
    Image.new("RGB", (40, 24), (128, 0, 0)).save(masks / "00004.png")
    ant = open_dataset("davis", root=root).sequences[0]
    for read, index, name in (
        (ant.frame, 1, "00001.jpg"),
        (ant.mask, 1, "00001.png"),
        (ant.frame, 2, r"00002\.jpg is 30 x 30 .* 40 x 24"),
        (ant.mask, 3, "00003.png is 30 x 30"),
        (ant.mask, 4, "00004.png"),
    ):
        with pytest.raises(VosError, match=name):
            read(index)


def test_frames_without_leading_zeros_are_in_the_order_of_their_numbers(davis_2017):
    root = davis_2017("ant", frames=12)
    for folder in ("JPEGImages", "Annotations"):
        for path in sorted((root / folder / "480p" / "ant").iterdir()):
            path.rename(path.with_stem(str(int(path.stem))))
    (sequence,) = open_davis(root).sequences
    assert [path.stem for path in sequence.frame_paths] == [str(index) for index in range(12)]
    assert [path.stem for path in sequence.mask_paths] == [str(index) for index in range(12)]


def test_numbering_gaps_at_any_step():
    assert numbering_gaps(["00000", "00005", "00010"]) == []
    assert numbering_gaps(["00000", "00005", "00015"]) == ["00010"]
    assert numbering_gaps(["00003", "00004", "00007"]) == ["00005", "00006"]
    assert numbering_gaps(["a", "b", "c"]) == []


def test_real_davis_2016(data_root):
    dataset = open_dataset("davis", root=data_root / "davis-2016-dev", year=2016, split="train")
    assert len(dataset) == 10
    assert sum(len(sequence) for sequence in dataset) == 591
    assert all(sequence.object_ids == [1] for sequence in dataset)
    assert dataset.sequences[0].size == (480, 854)


def test_real_davis_2017(data_root):
    dataset = open_dataset("davis", root=data_root / "davis-2017-dev", split="train")
    (sequence,) = dataset
    assert (sequence.name, len(sequence)) == ("schoolgirls", 80)
    assert sequence.object_ids == [1, 2, 3, 4, 5, 6, 7]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
