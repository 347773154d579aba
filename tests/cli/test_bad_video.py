"""`vos propagate` on a video, mask or output that cannot be: a code, and one line that helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos import files as files_module
from vos.media import VideoWriter, open_video, write_mask

CHEAP = ("--model", "lab,stride=4", "--set", "radius=6", "--device", "cpu")
full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no device that is always full"
)


@pytest.fixture
def mask(tmp_path: Path, clip: Path) -> Path:
    return tmp_path / "masks" / "0.png"


@pytest.fixture
def vos_propagate(vos_command, clip: Path, mask: Path, tmp_path: Path):
    def run(*more: object, video: object = clip, mask: object = mask):
        out = ("--out", tmp_path / "out")
        return vos_command("propagate", video, "--mask", mask, *out, *CHEAP, *more)

    return run


@pytest.fixture
def film(moving_scene, tmp_path: Path) -> Path:
    """Forty frames as H.264, in a path with a space and an accent."""
    path = tmp_path / "mon été.mp4"
    with VideoWriter(path, fps=25, size=(64, 96)) as writer:
        for index in range(40):
            writer.write(moving_scene(index % 20)[0])
    return path


def test_paths_with_spaces_and_accents_work(vos_propagate, film: Path, tmp_path: Path) -> None:
    shown = tmp_path / "é è" / "vu à la fin.mp4"
    runs = tmp_path / "é è" / "日本.json"
    assert vos_propagate("--overlay", shown, "--rle", runs, video=film).code == 0
    assert open_video(shown).count_frames() == 40
    assert "mon été" in runs.read_text(encoding="utf-8")


def test_a_missing_video(vos_propagate) -> None:
    ended = vos_propagate(video="nowhere.mp4")
    assert ended.code == 3
    assert "there is no video nowhere.mp4" in ended.complaint


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100])
def test_a_file_that_is_no_video(vos_propagate, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    ended = vos_propagate(video=path)
    assert ended.code == 1
    assert f"{path} is " in ended.complaint and "replace the file" in ended.complaint


def test_a_folder_without_frames(vos_propagate, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    ended = vos_propagate(video=tmp_path / "nothing")
    assert ended.code == 3
    assert (
        "holds no images: give a video file, or a folder of frames (.avif .bmp" in ended.complaint
    )


def test_a_truncated_film_keeps_the_masks_before_the_cut(
    vos_propagate, film: Path, tmp_path: Path
) -> None:
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    ended = vos_propagate(video=film)
    assert ended.code == 1
    assert f"{film} is truncated: download or copy it again" in ended.complaint
    kept = len(list((tmp_path / "out").glob("*.png")))
    assert f"({kept} frames could be read)" in ended.complaint
    assert 5 < kept < 40


def test_a_film_cut_before_its_first_frame(vos_propagate, film: Path) -> None:
    film.write_bytes(film.read_bytes()[:600])
    ended = vos_propagate(video=film)
    assert ended.code == 1
    assert str(film) in ended.complaint


@pytest.mark.parametrize("kept", [0, 300])
def test_a_truncated_frame(vos_propagate, clip: Path, tmp_path: Path, kept: int) -> None:
    frame = clip / "3.jpg"
    frame.write_bytes(frame.read_bytes()[: frame.stat().st_size // 2 if kept else 0])
    ended = vos_propagate()
    assert ended.code == 1
    assert "3.jpg is" in ended.complaint and "replace the file" in ended.complaint


def test_a_folder_that_mixes_sizes(vos_propagate, clip: Path) -> None:
    Image.open(clip / "4.jpg").resize((48, 64)).save(clip / "4.jpg")
    ended = vos_propagate()
    assert ended.code == 1
    assert "4.jpg is 48 x 64 pixels, but 0.jpg is 96 x 64" in ended.complaint


class TestMask:
    def test_missing(self, vos_propagate) -> None:
        ended = vos_propagate(mask="nowhere.png")
        assert ended.code == 3
        assert "there is no mask nowhere.png" in ended.complaint

    def test_a_folder(self, vos_propagate, clip: Path) -> None:
        ended = vos_propagate(mask=clip)
        assert ended.code == 2
        assert "is a folder: give --mask each of the files in it" in ended.complaint

    def test_of_other_proportions(self, vos_propagate, mask: Path) -> None:
        Image.open(mask).resize((48, 40)).save(mask)
        ended = vos_propagate()
        assert ended.code == 2
        assert "0.png is 48 x 40 pixels, its frame 96 x 64: give a mask of" in ended.complaint

    @pytest.mark.parametrize("kept", [0.0, 0.7])
    def test_truncated(self, vos_propagate, mask: Path, kept: float) -> None:
        mask.write_bytes(mask.read_bytes()[: int(mask.stat().st_size * kept)])
        ended = vos_propagate()
        assert ended.code == 1
        assert "0.png is" in ended.complaint and "replace the file" in ended.complaint

    def test_all_background(self, vos_propagate, mask: Path) -> None:
        write_mask(mask, np.zeros((64, 96), np.uint8))
        ended = vos_propagate()
        assert ended.code == 2
        assert "frame 0 is all background: paint at least one object" in ended.complaint

    def test_in_the_colours_of_the_palette_is_understood(self, vos_propagate, mask: Path) -> None:
        Image.open(mask).convert("RGB").save(mask)
        assert vos_propagate("-q").out.startswith("6 frames of objects 2, 7 ")

    def test_in_other_colours(self, vos_propagate, mask: Path) -> None:
        Image.new("RGB", (96, 64), (1, 2, 3)).save(mask)
        ended = vos_propagate()
        assert ended.code == 1
        assert "colours outside the DAVIS palette (first (1, 2, 3))" in ended.complaint

    def test_for_a_frame_that_is_not_there(self, vos_propagate, mask: Path, film: Path) -> None:
        for video, count in ((None, 6), (film, 40)):
            ended = vos_propagate(mask=f"99:{mask}", **({"video": video} if video else {}))
            assert ended.code == 2
            assert f"has no frame 99: its {count} frames are counted from 0" in ended.complaint

    def test_two_for_one_frame(self, vos_propagate, mask: Path) -> None:
        ended = vos_propagate("--mask", f"0:{mask}")
        assert ended.code == 2
        assert "two masks for frame 0" in ended.complaint

    def test_with_an_object_that_the_first_lacks_adds_it(
        self, vos_propagate, mask: Path, tmp_path: Path
    ) -> None:
        late = np.zeros((64, 96), np.uint8)
        late[50:60, 5:25] = 9
        write_mask(tmp_path / "late.png", late)
        ended = vos_propagate("-q", "--mask", f"3:{tmp_path / 'late.png'}")
        assert ended.out.startswith("6 frames of objects 2, 7, 9 ")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--model", "labb"), "did you mean lab?"),
        (("--preset", "crv"), "did you mean crw?"),
        (("--set", "radios=3"), "did you mean radius?"),
        (("--set", "recent=-3"), "cannot be negative"),
        (("--overlay", "shown.avi"), "--overlay takes the name of a video"),
        (("--composite", "mat=a.mp4"), "--composite has no kind 'mat': did you mean matte?"),
        (("--composite", "prores=a.mp4"), "ProRes 4444 videos are written as .mov"),
        (("--background", "a.png"), "--composite background=FILE and --background PICTURE go"),
    ],
)
def test_names_and_values_that_are_not_known(vos_propagate, tmp_path, options, what) -> None:
    ended = vos_propagate(*options)
    assert ended.code == 2
    assert what in ended.complaint
    assert not (tmp_path / "out").exists()


def test_a_dry_run_refuses_composites_as_the_run_does(vos_propagate) -> None:
    ended = vos_propagate("--composite", "prores=a.mp4", "--dry-run")
    assert ended.code == 2
    assert "ProRes 4444 videos are written as .mov" in ended.complaint


def test_an_address_is_for_python(vos_propagate) -> None:
    ended = vos_propagate(video="rtsp://camera/front")
    assert ended.code == 2
    assert "is an address, which is read once" in ended.complaint


class TestOutput:
    @pytest.mark.parametrize("option", ["--out", "--overlay", "--rle"])
    def test_below_a_file(self, vos_propagate, tmp_path: Path, option: str) -> None:
        (tmp_path / "notes").write_text("")
        name = {"--out": "masks", "--overlay": "a.mp4", "--rle": "a.json"}[option]
        ended = vos_propagate(option, tmp_path / "notes" / name)
        assert ended.code == 2  # refused before any work
        assert f"{tmp_path / 'notes'} is a file, not a folder" in ended.complaint

    @full_device
    @pytest.mark.parametrize("name", ["shown.mp4", "runs.json"])
    def test_full_disk_keeps_the_masks(
        self, vos_propagate, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stem, suffix = name.split(".")
        monkeypatch.setattr(files_module.secrets, "randbelow", lambda _: 4711)
        (tmp_path / f".{stem}.4711.{suffix}").symlink_to("/dev/full")
        option = "--overlay" if suffix == "mp4" else "--rle"
        ended = vos_propagate(option, tmp_path / name)
        assert ended.code == 1
        assert f"{name}: No space left on device" in ended.complaint
        assert not (tmp_path / name).exists()
        assert len(list((tmp_path / "out").glob("*.png"))) == 6

    def test_other_files_there(self, vos_propagate, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "diary.txt").write_text("mine")
        ended = vos_propagate()
        assert ended.code == 2
        assert "holds files of something else (diary.txt)" in ended.complaint

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": []}'])
    def test_corrupt_record(self, vos_propagate, tmp_path: Path, content: str) -> None:
        assert vos_propagate().code == 0
        (tmp_path / "out" / "manifest.jsonl").write_text(content)
        for more in ((), ("--overwrite",)):  # nobody knows what is whose
            ended = vos_propagate(*more)
            assert ended.code == 2
            assert "manifest.jsonl" in ended.complaint
        assert len(list((tmp_path / "out").glob("*.png"))) == 6
