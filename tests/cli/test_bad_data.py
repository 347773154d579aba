"""`vos eval` and `vos score` on data that is missing or broken: a code, and one line that helps."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos import files as files_module
from vos.media import masks as masks_module
from vos.media import write_mask

CHEAP = ("--model", "lab", "--device", "cpu", "--no-report")
FRAME = Path("JPEGImages/480p/bee/00003.jpg")
MASK = Path("Annotations/480p/bee/00003.png")
FIRST = Path("Annotations/480p/bee/00000.png")
LIST = Path("ImageSets/2017/val.txt")


def delete(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    """Save the picture at half its size."""
    image = Image.open(path)
    image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST).save(path)


def colour(path: Path) -> None:
    Image.open(path).convert("RGB").save(path)


def clear(path: Path) -> None:
    write_mask(path, np.zeros((64, 96), np.uint8))


# What is done to which file, the exit code, and what the line says besides the name of the file.
DAMAGE = [
    (LIST, delete, 3, "vos data download davis-2017"),
    (LIST, empty, 1, "is empty"),
    (FRAME, delete, 3, "is missing"),
    (FRAME, empty, 1, "is empty: replace the file"),
    (FRAME, truncate, 1, "is truncated"),
    (FRAME, halve, 1, "48 x 32 but the first frame of bee is 96 x 64"),
    (FIRST, delete, 3, "is missing"),
    (FIRST, truncate, 1, "replace the file"),
    (FIRST, halve, 1, "is 48 x 32 pixels, but its frame is 96 x 64"),
    (FIRST, colour, 1, "is a RGB image, not a mask: save it as a palette or grey PNG"),
    (FIRST, clear, 1, "is all background"),
    (MASK, delete, 3, "`vos data check"),
    (MASK, truncate, 1, "replace the file"),
    (MASK, halve, 1, "masks of a sequence must have one size"),
    (MASK, colour, 1, "is a RGB image, not a mask"),
]


@pytest.fixture
def vos_eval(vos_command, davis: Path, tmp_path: Path):
    return lambda *more: vos_command(
        "eval", "--dataset", "davis", "--root", davis, "--out", tmp_path / "out", *CHEAP, *more
    )


@pytest.mark.parametrize(("where", "damage", "code", "what"), DAMAGE)
def test_broken_data_is_named(
    vos_eval, davis: Path, where: Path, damage: Callable[[Path], None], code: int, what: str
) -> None:
    damage(davis / where)
    ended = vos_eval()
    assert ended.code == code
    assert what in ended.complaint
    assert where.stem in ended.complaint


@pytest.mark.parametrize(
    ("where", "damage"), [(MASK, delete), (FIRST, colour), (FIRST, clear), (FRAME, halve)]
)
def test_what_can_be_told_early_is_told_before_the_work(
    vos_eval, davis: Path, tmp_path: Path, where: Path, damage: Callable[[Path], None]
) -> None:
    damage(davis / where)
    assert vos_eval().code != 0
    assert not (tmp_path / "out").exists()


def test_sequences_before_a_broken_frame_are_kept(vos_eval, davis: Path, tmp_path: Path) -> None:
    truncate(davis / FRAME)
    assert vos_eval().code == 1
    assert len(list((tmp_path / "out" / "ant").glob("*.png"))) == 6
    assert len(list((tmp_path / "out" / "bee").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (("--root", "nowhere"), 3, "vos data download davis-2017 --root nowhere"),
        (("--split", "vall"), 2, "did you mean val?"),
        (("--year", "2016"), 2, "add --year 2017"),
        (("--year", "2015"), 2, "choose 2016 or 2017"),
        (("--sequences", "bea"), 2, "did you mean bee?"),
        (("--sequences", " ,"), 2, "--sequences names no sequence"),
        (("--dataset", "davies"), 2, "did you mean davis?"),
        (("--model", "resnet81"), 2, "did you mean resnet18"),
        (("--model", "lab,strid=4"), 2, "did you mean stride?"),
        (("--model", "lab,stride=four"), 2, "must be of type int"),
        (("--preset", "dinov2"), 2, "did you mean dinov3"),
        (("--set", "neighbors=3"), 2, "did you mean neighbours?"),
        (("--set", "neighbours=few"), 2, "neighbours must be a whole number, not 'few'"),
        (("--set", "window=circel"), 2, "did you mean circle"),
        (("--set", "radius=-1"), 2, "radius must be a positive number"),
        (("--set", "radius"), 2, "--set takes NAME=VALUE"),
        (("--device", "gpu"), 2, "unknown device 'gpu'"),
    ],
)
def test_names_and_values_that_are_not_known(vos_eval, tmp_path, options, code, what) -> None:
    ended = vos_eval(*options)
    assert ended.code == code
    assert what in ended.complaint
    assert not (tmp_path / "out").exists()


def test_davis_without_a_root_says_which_option(vos_command) -> None:
    ended = vos_command("eval", "--dataset", "davis")
    assert ended.code == 3
    assert "--root is needed" in ended.complaint


def test_two_frames_cannot_be_scored(vos_command, write_davis, tmp_path: Path) -> None:
    root = write_davis("ant", frames=2, folder="short")
    ended = vos_command("eval", "--dataset", "davis", "--root", root, "--out", tmp_path / "out")
    assert ended.code == 1
    assert "three are needed" in ended.complaint


class TestOutputFolder:
    @pytest.mark.parametrize("below", ["", "deeper/still"])
    def test_a_file_in_its_place(self, vos_eval, tmp_path: Path, below: str) -> None:
        (tmp_path / "notes").write_text("")
        ended = vos_eval("--out", tmp_path / "notes" / below)
        assert ended.code in (1, 2)
        assert f"{tmp_path / 'notes'} is a file" in ended.complaint

    def test_read_only(self, vos_eval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make = Path.mkdir

        def refuse(path: Path, *how: object, **named: object) -> None:
            if path.name == "out":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            make(path, *how, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "mkdir", refuse)
        ended = vos_eval()
        assert ended.code == 1
        assert "Permission denied: choose a folder that you may write to" in ended.complaint

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_full(self, vos_eval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every mask after the third of a sequence goes to a device without space."""
        write = masks_module.Image.Image.save

        def save(image: Image.Image, target: Path, **how: object) -> None:
            if target.name.startswith(".00003."):
                target.symlink_to("/dev/full")
            write(image, target, **how)

        monkeypatch.setattr(masks_module.Image.Image, "save", save)
        ended = vos_eval()
        assert ended.code == 1
        assert "00003.png: No space left on device: free some space" in ended.complaint
        names = {path.name for path in (tmp_path / "out" / "ant").iterdir()}
        assert {"00000.png", "00001.png", "00002.png"} <= names
        assert not any("00003" in name for name in names)
        monkeypatch.setattr(masks_module.Image.Image, "save", write)
        assert vos_eval().code == 0

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_full_from_the_start(
        self, vos_eval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "out").mkdir()
        monkeypatch.setattr(files_module.secrets, "randbelow", lambda _: 4711)
        (tmp_path / "out" / ".run.4711.json").symlink_to("/dev/full")
        ended = vos_eval("--overwrite")
        assert ended.code == 1
        assert "run.json: No space left on device: free some space" in ended.complaint

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 3}', "\x00\x01"])
    def test_corrupt_record(self, vos_eval, tmp_path: Path, content: str) -> None:
        assert vos_eval("--sequences", "ant").code == 0
        (tmp_path / "out" / "manifest.jsonl").write_text(content)
        for more in ((), ("--overwrite",)):  # nobody knows what is whose
            ended = vos_eval("--sequences", "ant", *more)
            assert ended.code == 2
            assert "manifest.jsonl is damaged" in ended.complaint
        assert len(list((tmp_path / "out" / "ant").glob("*.png"))) == 6


class TestResultsFolder:
    """`vos score` refuses it with exit code 4, and leaves no table behind."""

    @pytest.fixture
    def results(self, davis: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "their results"
        for path in (davis / "Annotations/480p").glob("*/*.png"):
            target = folder / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        return folder

    @pytest.fixture
    def vos_score(self, vos_command, davis: Path, results: Path):
        return lambda: vos_command("score", results, "--dataset", "davis", "--root", davis)

    @pytest.mark.parametrize(
        ("damage", "what"),
        [
            (delete, "is missing: every frame of bee needs a mask, 6 in all"),
            (truncate, "replace the file"),
            (halve, "is 48 x 32 pixels but the truth is 96 x 64 pixels"),
            (colour, "is a RGB image, not a mask"),
        ],
    )
    def test_a_broken_mask(self, vos_score, results: Path, damage, what: str) -> None:
        damage(results / "bee" / "00003.png")
        ended = vos_score()
        assert ended.code == 4
        assert what in ended.complaint
        assert "00003.png" in ended.complaint
        assert not list(results.glob("*.csv"))

    def test_an_extra_id(self, vos_score, results: Path) -> None:
        write_mask(results / "bee" / "00003.png", np.full((64, 96), 3, np.uint8))
        ended = vos_score()
        assert ended.code == 4
        assert "holds the id 3, but frame 0 of bee has only the ids 2, 7" in ended.complaint

    def test_a_missing_folder(self, vos_score, results: Path) -> None:
        results.rename(results.with_name("elsewhere"))
        ended = vos_score()
        assert ended.code == 4
        assert "there is no results folder" in ended.complaint

    def test_tables_of_someone_else_stay_and_its_own_are_replaced(
        self, vos_score, results: Path
    ) -> None:
        theirs = results / "global_results-val.csv"
        theirs.write_text("J&F-Mean\n0.123\n")
        ended = vos_score()
        assert ended.code == 0
        assert "left global_results-val.csv as they are" in ended.err
        assert "0.123" in theirs.read_text()
        theirs.unlink()
        assert vos_score().code == vos_score().code == 0
        assert "1.000000000" in theirs.read_text()

    def test_all_background_is_a_result_like_any_other(self, vos_score, results: Path) -> None:
        for path in results.glob("*/*.png"):
            clear(path)
        assert vos_score().code == 0
