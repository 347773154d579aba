"""YouTube-VOS: objects begin late, some frames have truth, first masks show new objects only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vos.datasets import open_dataset
from vos.errors import MissingError, UsageError, VosError
from vos.media import read_palette_mask, write_mask


def test_objects_begin_where_meta_says(write_youtube_vos: Callable[..., Path]) -> None:
    root = write_youtube_vos("valid")
    dataset = open_dataset("youtube-vos", root=root)
    assert (dataset.name, dataset.split, len(dataset)) == ("youtube-vos", "valid", 2)
    early, late = dataset
    assert (early.name, late.name) == ("0a1b", "c2d3")
    assert early.object_ids == late.object_ids == [2, 7]
    assert dict(early.begins) == {2: 0, 7: 2}
    assert dict(late.begins) == {2: 1, 7: 3}
    assert [path.stem for path in early.frame_paths] == [f"{5 * index:05d}" for index in range(6)]
    given = early.first_masks()
    assert sorted(given) == [0, 2]
    assert np.unique(given[0]).tolist() == [0, 2]
    assert np.unique(given[2]).tolist() == [0, 7]
    assert not early.is_scored and not late.is_scored


def test_a_first_mask_gives_only_objects_that_begin_in_it(
    write_youtube_vos: Callable[..., Path],
) -> None:
    """In train the mask of frame 2 shows the older object too, which has been followed to there."""
    sequence = open_dataset(
        "youtube-vos", root=write_youtube_vos("train"), split="train"
    ).sequences[0]
    assert np.unique(sequence.mask(2)).tolist() == [0, 2, 7]
    assert np.unique(sequence.first_masks()[2]).tolist() == [0, 7]
    assert sequence.annotated == (0, 2, 4)
    assert sequence.is_scored


def test_the_folder_of_a_split_will_do(write_youtube_vos: Callable[..., Path]) -> None:
    root = write_youtube_vos("valid")
    dataset = open_dataset("youtube-vos", root=root / "valid", sequences=["c2d3"])
    assert (dataset.split, [each.name for each in dataset]) == ("valid", ["c2d3"])
    with pytest.raises(UsageError, match="leave `split` out"):
        open_dataset("youtube-vos", root=root / "valid", split="train")


def test_what_is_missing_or_makes_no_sense(
    write_youtube_vos: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_youtube_vos("valid")
    meta = root / "valid" / "meta.json"
    with pytest.raises(MissingError, match="`root` is needed"):
        open_dataset("youtube-vos")
    with pytest.raises(MissingError, match=r"has no valid/meta\.json"):
        open_dataset("youtube-vos", root=root / "valid" / "JPEGImages")
    with pytest.raises(UsageError, match=r"no split 'vali'.*did you mean valid"):
        open_dataset("youtube-vos", root=root, split="vali")
    with pytest.raises(UsageError, match=r"no video '0a1c'.*did you mean 0a1b"):
        open_dataset("youtube-vos", root=root, sequences=["0a1c"])

    content = json.loads(meta.read_text())
    first = root / "valid" / "Annotations" / "0a1b" / "00000.png"
    mask = read_palette_mask(first)
    write_mask(first, np.zeros_like(mask))
    with pytest.raises(VosError, match=r"00000\.png does not show object 2"):
        open_dataset("youtube-vos", root=root).sequences[0].first_masks()
    first.unlink()
    with pytest.raises(MissingError, match=r"00000\.png is missing: object 2 of 0a1b begins"):
        open_dataset("youtube-vos", root=root)
    for broken, words in (
        ({"videos": {}}, "names no video"),
        ({"videos": {"0a1b": {"objects": {}}}}, "no objects"),
        ({"videos": {"0a1b": {"objects": {"900": {"frames": ["00000"]}}}}}, "object id 900"),
        ({"videos": {"0a1b": {}}}, "not that of YouTube-VOS"),
        ([], "not that of YouTube-VOS"),
    ):
        meta.write_text(json.dumps(broken))
        with pytest.raises(VosError, match=words) as raised:
            open_dataset("youtube-vos", root=root)
        assert "\n" not in str(raised.value)
    content["videos"]["0a1b"]["objects"]["2"]["frames"] = ["00003"]
    meta.write_text(json.dumps(content))
    with pytest.raises(MissingError, match=r"00003\.jpg is missing: object 2 of 0a1b begins"):
        open_dataset("youtube-vos", root=root)
