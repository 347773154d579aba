"""A video and mask files in; masks, overlay and run lengths out, and what is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vos
from vos.errors import UsageError, VosError
from vos.media import open_video, read_palette_mask, read_rle, write_mask
from vos.segmentation import to_files
from vos.segmentation.composites import Composites
from vos.segmentation.given_masks import (
    MaskFile,
    find_masks,
    open_with_masks,
    parse_mask_options,
)
from vos.segmentation.run import propagate_to_files
from vos.settings import DEFAULT_MODEL


@pytest.fixture
def mask_file(tmp_path: Path, masks) -> Path:
    path = tmp_path / "first mask.png"
    write_mask(path, masks[0])
    return path


@pytest.fixture
def run(folder: Path, mask_file: Path, config, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def propagate(**how: Any) -> dict[str, Any]:
        arguments = {
            "video": folder,
            "masks": [MaskFile(mask_file)],
            "out": tmp_path / "out",
            "model": "lab,stride=4",
            "config": config,
            "device": torch.device("cpu"),
            **how,
        }
        summary = propagate_to_files(**arguments)
        (result,) = summary.results.values()
        return {**summary.to_dict(), "ids": result["ids"]}

    return propagate


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when anything would be segmented."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("segmented again")

    monkeypatch.setattr(to_files, "propagate", fail)


def read_all(out: Path) -> list[np.ndarray]:
    return [read_palette_mask(path) for path in sorted(out.glob("[!.]*.png"))]


def test_masks_overlay_and_run_lengths_agree(
    run, folder: Path, masks, extractor, config, tmp_path: Path
) -> None:
    record = run(
        composites=Composites({"overlay": tmp_path / "shown.mp4"}), rle_file=tmp_path / "masks.json"
    )
    written = read_all(tmp_path / "out")
    assert record["frames"] == len(written) == 10
    assert record["ids"] == [2, 7]
    streamed = vos.propagate(folder, {0: masks[0]}, model=extractor, preset=config)
    for mask, frame in zip(written, streamed, strict=True):
        np.testing.assert_array_equal(mask, frame.mask)
    for mask, decoded in zip(written, read_rle(tmp_path / "masks.json"), strict=True):
        np.testing.assert_array_equal(mask, decoded)
    shown = list(open_video(tmp_path / "shown.mp4"))
    assert len(shown) == 10
    for mask, picture, frame in zip(written, shown, open_video(folder), strict=True):
        change = np.abs(picture.astype(int) - frame).mean(2)
        assert change[mask > 0].mean() > 3 * change[mask == 0].mean()


def test_an_overlay_can_be_had_later_without_segmenting_again(
    run, tmp_path: Path, no_work_later
) -> None:
    run()
    no_work_later()
    record = run(composites=Composites({"overlay": tmp_path / "shown.mp4"}))
    assert (tmp_path / "shown.mp4").stat().st_size > 0
    assert (record["frames"], record["fps"]) == (10, 0)


@pytest.fixture
def no_work_later(request: pytest.FixtureRequest) -> Callable[[], None]:
    return lambda: request.getfixturevalue("no_work")


def test_a_lost_mask_is_made_again(run, tmp_path: Path) -> None:
    run()
    before = read_all(tmp_path / "out")
    (tmp_path / "out" / "00004.png").unlink()
    run()
    for one, other in zip(read_all(tmp_path / "out"), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_lower_precision_leaves_the_masks_alone_and_is_another_run(
    run, overlap, tmp_path: Path
) -> None:
    plain = {"model": "small"}
    run(**plain)
    full = read_all(tmp_path / "out")
    with pytest.raises(UsageError, match=r"another precision \(float32, now bfloat16"):
        run(**plain, precision="bfloat16")
    with pytest.raises(UsageError, match="unknown precision"):
        run(**plain, precision="half", overwrite=True)
    assert len(read_all(tmp_path / "out")) == 10  # nothing was lost
    run(**plain, precision="bfloat16", overwrite=True)
    for one, other in zip(full, read_all(tmp_path / "out"), strict=True):
        assert overlap(one, other, 2) > 0.9
        assert overlap(one, other, 7) > 0.9


def test_a_run_in_8_bits_does_not_go_on_where_these_cannot_be_had(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(model=DEFAULT_MODEL)
    settings, *lines = map(json.loads, (tmp_path / "out/manifest.jsonl").read_text().splitlines())
    assert settings["settings"]["precision"] == "int8"
    assert [line["precision"] for line in lines if "precision" in line] == ["int8"]
    monkeypatch.setattr("vos.backbones.quantised.importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"another precision \(int8, now float32\)"):
        run(model=DEFAULT_MODEL)


class TestAnotherRunInTheFolder:
    """Is refused by the name of what differs, and replaced with --overwrite."""

    def check(self, run, tmp_path: Path, match: str, **changed: Any) -> None:
        with pytest.raises(UsageError, match=rf"another {match}.*`overwrite=True`"):
            run(**changed)
        assert len(read_all(tmp_path / "out")) == 10
        assert run(overwrite=True, **changed)["fps"] > 0

    def test_model(self, run, tmp_path: Path) -> None:
        run()
        self.check(run, tmp_path, r"model \(lab,stride=4, now lab\)", model="lab")

    def test_weights_under_the_same_name(self, run, tmp_path: Path) -> None:
        run(model="resnet18,layer=2", seed=0)
        self.check(run, tmp_path, "weights", model="resnet18,layer=2", seed=1)

    def test_setting(self, run, config, tmp_path: Path) -> None:
        run()
        other = config.with_settings({"radius": "5"})
        self.check(run, tmp_path, r"config \(radius: 6, now 5.0\)", config=other)

    def test_mask(self, run, masks, tmp_path: Path) -> None:
        run()
        write_mask(tmp_path / "other.png", masks[1])
        self.check(run, tmp_path, "mask", masks=[MaskFile(tmp_path / "other.png")])

    def test_video_of_the_same_name(self, run, folder: Path, frames, tmp_path: Path) -> None:
        run()
        from vos.media import write_image

        write_image(folder / "00009.png", frames[0])
        self.check(run, tmp_path, "video content")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"frames": 3}', "\x00"])
def test_a_corrupt_record_owns_nothing(run, tmp_path: Path, content: str) -> None:
    run()
    before = read_all(tmp_path / "out")
    (tmp_path / "out" / "manifest.jsonl").write_text(content)
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"manifest\.jsonl is damaged"):
            run(overwrite=overwrite)
    assert len(read_all(tmp_path / "out")) == len(before)


def test_a_run_of_an_older_version_is_refused_with_a_line(run, tmp_path: Path, masks) -> None:
    out = tmp_path / "out"
    write_mask(out / "00000.png", masks[0])
    (out / "run.json").write_text('{"settings": {}, "frames": 1}')
    with pytest.raises(UsageError, match="a run of an older version"):
        run()
    with pytest.raises(UsageError, match=r"00000\.png is there and is not of this run"):
        run(overwrite=True)


def test_a_run_that_was_killed_goes_on_and_leaves_nothing_behind(
    run, tmp_path: Path, masks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it wrote the fourth mask, the name of which is on record."""
    out = tmp_path / "out"

    def killed(path: Path, mask: np.ndarray) -> None:
        if path.name == "00003.png":
            (out / ".00003.4711.png").write_bytes(b"half")
            raise KeyboardInterrupt
        write_mask(path, mask)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(to_files, "write_mask", killed)
        run()
    assert len(read_all(out)) >= 3 and not (out / "00003.png").exists()
    assert run()["frames"] == 10
    assert sorted(p.name for p in out.iterdir()) == [f"{i:05d}.png" for i in range(10)] + [
        "confidence.json",
        "manifest.jsonl",
    ]


def test_foreign_files_are_never_deleted(run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "mask_1.png").write_text("mine too")
    with pytest.raises(UsageError, match=r"holds files of something else \(mask_1\.png\)"):
        run()
    run(overwrite=True)
    run(overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "mask_1.png").read_text() == "mine too"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_file_of_the_name_of_a_mask_is_never_replaced(
    run, tmp_path: Path, overwrite: bool
) -> None:
    run()
    (tmp_path / "out" / "00005.png").unlink()
    (tmp_path / "out" / "manifest.jsonl").unlink()
    for path in (tmp_path / "out").iterdir():
        path.rename(path.with_name(f"mine {path.name}"))
    (tmp_path / "out" / "00007.png").write_bytes(b"painted")
    with pytest.raises(UsageError, match=r"00007\.png is there|something else"):
        run(overwrite=overwrite)
    assert (tmp_path / "out" / "00007.png").read_bytes() == b"painted"


def test_a_mask_changed_since_is_used_as_it_is_and_not_replaced(run, masks, tmp_path: Path) -> None:
    run()
    corrected = tmp_path / "out" / "00004.png"
    write_mask(corrected, masks[0])
    run(rle_file=tmp_path / "masks.json")  # finished: the masks are read, and none is written
    np.testing.assert_array_equal(list(read_rle(tmp_path / "masks.json"))[4], masks[0])
    (tmp_path / "out" / "00001.png").unlink()
    with pytest.raises(UsageError, match=r"00004\.png was changed since.*`overwrite=True`"):
        run()
    np.testing.assert_array_equal(read_palette_mask(corrected), masks[0])
    run(overwrite=True)
    assert (read_palette_mask(corrected) != masks[0]).any()


def test_an_overlay_of_someone_else_is_never_replaced(run, tmp_path: Path) -> None:
    (tmp_path / "shown.mp4").write_bytes(b"holiday")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"shown\.mp4 is there and is not of this run"):
            run(composites=Composites({"overlay": tmp_path / "shown.mp4"}), overwrite=overwrite)
    assert (tmp_path / "shown.mp4").read_bytes() == b"holiday"
    for _ in range(2):
        run(composites=Composites({"overlay": tmp_path / "out" / "shown.mp4"}))


def test_what_is_said_of_a_mask_is_said_once(run, mask_file: Path, masks, caplog) -> None:
    write_mask(mask_file, masks[0].repeat(2, axis=0).repeat(2, axis=1))
    run()
    assert sum("it is resized to its frame" in line for line in caplog.messages) == 1


def test_an_overlay_that_is_not_made_anew_is_named(run, tmp_path: Path, caplog) -> None:
    one, two = (Composites({"overlay": tmp_path / name}) for name in ("one.mp4", "two.mp4"))
    run(composites=one)
    run(composites=one, overwrite=True)
    assert not caplog.messages
    run(composites=two, overwrite=True)
    assert caplog.messages == [f"{tmp_path / 'one.mp4'}: of the run before, and not made anew"]


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"model": "labb"}, "did you mean lab"),
        (
            {"composites": Composites({"overlay": Path("shown.gif")})},
            r"shown\.gif: `overlay_file` takes",
        ),
        ({"composites": Composites({"overlay": Path("/")})}, "`overlay_file` takes"),
        ({"rle_file": Path("/")}, "is a folder"),
    ],
)
def test_what_cannot_be_leaves_finished_masks_alone(
    run, tmp_path: Path, how: dict[str, Any], match: str
) -> None:
    run()
    with pytest.raises(UsageError, match=match):
        run(overwrite=True, **how)
    assert len(read_all(tmp_path / "out")) == 10


@pytest.mark.parametrize("name", ["manifest.jsonl", "confidence.json"])
def test_run_lengths_over_other_results_are_refused(run, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="give each a name of its own"):
        run(rle_file=tmp_path / "out" / name)


def test_masks_of_the_frames_before_a_failure_stay(run, folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    frames = sorted(folder.glob("*.png"))
    for path in frames:
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    broken = folder / "00006.jpg"
    broken.write_bytes(broken.read_bytes()[:900])
    with pytest.raises(VosError, match=r"00006\.jpg is truncated"):
        run()
    assert len(read_all(tmp_path / "out")) == 6


def test_mask_options() -> None:
    assert parse_mask_options(["a.png", "40:dir/b.png", "shot_0103:c.png"]) == [
        MaskFile(Path("a.png")),
        MaskFile(Path("dir/b.png"), "40"),
        MaskFile(Path("c.png"), "shot_0103"),
    ]
    assert parse_mask_options(["7:c:/d.png"]) == [MaskFile(Path("c:/d.png"), "7")]
    assert parse_mask_options(["c:/d.png"]) == [MaskFile(Path("c:/d.png"))]
    with pytest.raises(UsageError, match="no mask given"):
        parse_mask_options([])
    with pytest.raises(UsageError, match="the name of a mask is empty"):
        parse_mask_options([""])


class TestNamesOfFrames:
    """Masks of a folder of frames bear the names of its frames, and are found by them."""

    @pytest.fixture
    def shot(self, tmp_path: Path, frames) -> Path:
        from vos.media import write_image

        for index in range(4):
            write_image(tmp_path / "shot" / f"shot_{101 + index:04d}.png", frames[index])
        return tmp_path / "shot"

    def test_they_are_written_and_read_back(self, run, shot: Path, mask_file, tmp_path) -> None:
        run(video=shot, rle_file=tmp_path / "r.json")
        names = [f"shot_{101 + index:04d}" for index in range(4)]
        written = sorted((tmp_path / "out").glob("*.png"))
        assert [path.stem for path in written] == names
        images = json.loads((tmp_path / "r.json").read_text())["images"]
        files = [image["file_name"] for image in images]
        assert files == [f"shot/{name}.png" for name in names]
        assert all((shot.parent / name).is_file() for name in files)
        (tmp_path / "out").rename(tmp_path / "given")
        (tmp_path / "all").mkdir()
        (tmp_path / "given").rename(tmp_path / "all" / "shot")
        given = find_masks(tmp_path / "all", shot)
        _, read, *_ = open_with_masks(shot, given)
        assert sorted(read) == [0, 1, 2, 3]
        for index, path in enumerate(sorted((tmp_path / "all" / "shot").glob("*.png"))):
            np.testing.assert_array_equal(read[index], read_palette_mask(path))

    @pytest.mark.parametrize(
        ("option", "frame"),
        [("shot_0103:m.png", 2), ("2:m.png", 2), ("m.png", 0), ("masks/shot_0104.png", 3)],
    )
    def test_a_mask_finds_its_frame(
        self, shot: Path, masks, tmp_path: Path, monkeypatch, option: str, frame: int
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write_mask(tmp_path / option.split(":")[-1], masks[frame])
        _, read, *_ = open_with_masks(shot, parse_mask_options([option]))
        assert list(read) == [frame]

    def test_two_masks_for_one_frame_are_refused(self, shot: Path, masks, tmp_path: Path) -> None:
        write_mask(tmp_path / "m.png", masks[0])
        given = [MaskFile(tmp_path / "m.png", "shot_0102"), MaskFile(tmp_path / "m.png", "1")]
        with pytest.raises(UsageError, match="two masks for frame shot_0102"):
            open_with_masks(shot, given)
        with pytest.raises(UsageError, match=r"shot_0120.*did you mean shot_010"):
            open_with_masks(shot, [MaskFile(tmp_path / "m.png", "shot_0120")])

    def test_a_mask_among_the_frames_is_no_frame(self, run, shot: Path, masks, tmp_path) -> None:
        write_mask(shot / "mask.png", masks[0])
        assert run(video=shot, masks=[MaskFile(shot / "mask.png")])["frames"] == 4

    def test_a_new_file_beside_the_frames_is_another_run_only_if_it_is_a_frame(
        self, run, shot: Path, tmp_path: Path
    ) -> None:
        run(video=shot, out=shot / "masks", composites=Composites({"overlay": shot / "shown.mp4"}))
        (shot / ".DS_Store").write_bytes(b"x")
        again = run(
            video=shot, out=shot / "masks", composites=Composites({"overlay": shot / "shown.mp4"})
        )
        assert (again["frames"], again["fps"]) == (4, 0)


def test_hidden_files_are_no_masks(folder: Path, masks, tmp_path: Path) -> None:
    write_mask(tmp_path / "given" / folder.name / "00000.png", masks[0])
    (tmp_path / "given" / folder.name / "._00000.png").write_bytes(b"\x00\x05")
    (found,) = find_masks(tmp_path / "given", folder)
    assert found.path.name == "00000.png"


def test_names_of_frames_may_hold_colons(tmp_path: Path) -> None:
    mask = tmp_path / "5:3.png"
    mask.touch()
    assert parse_mask_options([f"5:3:{mask}"]) == [MaskFile(mask, "5:3")]
    assert parse_mask_options([str(mask)]) == [MaskFile(mask)]
