"""Videos for editing beside the masks: by their kinds, and what is refused before work starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from vos.errors import MissingError, UsageError, VosError
from vos.media import open_video, read_palette_mask, write_mask
from vos.media.compositing import COMPOSITES
from vos.scheduling import choose_executor
from vos.segmentation import composites as module
from vos.segmentation.composites import Composites, parse_composites
from vos.segmentation.given_masks import MaskFile
from vos.segmentation.run import propagate_many, propagate_to_files


@pytest.fixture
def run(folder: Path, masks, config, tmp_path: Path) -> Callable[..., Any]:
    write_mask(tmp_path / "first.png", masks[0])
    Image.new("RGB", (30, 20), (10, 200, 30)).save(tmp_path / "beach.png")

    def propagate(composites: dict[str, Path], background: Path | None = None) -> Any:
        return propagate_to_files(
            folder,
            [MaskFile(tmp_path / "first.png")],
            tmp_path / "out",
            composites=Composites(composites, background),
            model="lab,stride=4",
            config=config,
            device=torch.device("cpu"),
        )

    return propagate


def named(kind: str, folder: Path) -> Path:
    return folder / f"{kind}{COMPOSITES[kind].encoding.suffixes[0]}"


def test_every_kind_shows_the_masks_that_were_written(
    run, folder: Path, frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    monkeypatch.setattr(module, "islice", lambda *given: walks.append(1) or given[0])
    files = {kind: named(kind, tmp_path / "shown") for kind in COMPOSITES}
    run(files, background=tmp_path / "beach.png")
    assert walks == [1], "frames are decoded once for all kinds"
    written = [read_palette_mask(path) for path in sorted((tmp_path / "out").glob("0*.png"))]
    for kind, path in files.items():
        assert open_video(path).count_frames() == len(written) == 10, kind
    for shown, mask in zip(open_video(files["matte"]), written, strict=True):
        assert ((shown[..., 0] > 127) == (mask > 0)).mean() > 0.999
    for shown, mask in zip(open_video(files["background"]), written, strict=True):
        away = np.abs(shown.astype(int) - (10, 200, 30)).max(axis=2)
        assert np.median(away[mask == 0]) <= 3 < 50 < np.median(away[mask > 0])
    with av.open(str(files["prores"])) as container:
        for shown, mask in zip(container.decode(video=0), written, strict=True):
            alpha = shown.to_ndarray(format="rgba")[..., 3]
            np.testing.assert_array_equal(alpha > 127, mask > 0)


def test_a_composite_can_be_had_later_and_replaced(run, tmp_path: Path) -> None:
    assert run({}).computed == 10
    files = {"matte": tmp_path / "matte.mp4"}
    assert run(files).computed == run(files).computed == 0
    assert open_video(files["matte"]).count_frames() == 10


@pytest.mark.parametrize(
    ("files", "background", "match"),
    [
        ({"matt": "a.mp4"}, None, "no kind 'matt': did you mean matte"),
        ({"prores": "a.mp4"}, None, r"a\.mp4: ProRes 4444 videos are written as \.mov"),
        ({"webm": "a.mov"}, None, r"a\.mov: VP9 .* \.webm"),
        ({"green": "a.webm"}, None, r"a\.webm: H\.264 videos are written as \.mp4"),
        ({"background": "a.mp4"}, None, "go together"),
        ({"blur": "a.mp4"}, "beach.png", "go together"),
        ({"blur": "a.mp4", "green": "a.mp4"}, None, "both the composite"),
        ({"blur": "first.png/a.mp4"}, None, "is a file, not a folder"),
    ],
)
def test_what_cannot_be_is_refused_before_work_starts(
    run, tmp_path: Path, files: dict[str, str], background: str | None, match: str
) -> None:
    picture = tmp_path / background if background else None
    with pytest.raises(UsageError, match=match):
        run({kind: tmp_path / name for kind, name in files.items()}, background=picture)
    assert not (tmp_path / "out").exists()


def test_a_background_that_is_no_picture(run, tmp_path: Path) -> None:
    files = {"background": tmp_path / "a.mp4"}
    with pytest.raises(MissingError, match="there is no"):
        run(files, background=tmp_path / "none.png")
    (tmp_path / "a.mp4").write_text("no picture")
    with pytest.raises(VosError, match="is not an image"):
        run(files, background=tmp_path / "a.mp4")
    picture = (tmp_path / "beach.png").rename(tmp_path / "a.mp4")
    with pytest.raises(UsageError, match="is the background"):
        run(files, background=picture)


def test_many_videos_have_a_folder_for_each_kind(
    folder: Path, masks, config, tmp_path: Path
) -> None:
    write_mask(tmp_path / "masks" / f"{folder.name}.png", masks[0])
    kinds = {"prores": tmp_path / "alpha", "blur": tmp_path / "blurred"}

    def run() -> int:
        return propagate_many(
            [folder],
            tmp_path / "masks",
            tmp_path / "out",
            composites=Composites(kinds),
            model="lab,stride=4",
            config=config,
            executor=choose_executor("local", device="cpu"),
        ).begun

    assert (run(), run()) == (1, 0)
    for path in (tmp_path / f"alpha/{folder.name}.mov", tmp_path / f"blurred/{folder.name}.mp4"):
        assert open_video(path).count_frames() == 10
    kinds = {"matte": tmp_path / "blurred"}  # another kind, into the same file
    before = path.read_bytes()
    assert (run(), run()) == (1, 0)
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ("matte", "takes KIND=FILE, not 'matte'"),
        ("matte=", "takes KIND=FILE"),
        ("alpha=a.mov", "no kind 'alpha'"),
    ],
)
def test_options_that_say_nothing(option: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        parse_composites([option])
    with pytest.raises(UsageError, match="names blur twice"):
        parse_composites(["blur=a.mp4", "blur=b=c.mp4"])
    with pytest.raises(UsageError, match="leave one out"):
        Composites.of(Path("a.mp4"), {"overlay": Path("b.mp4")})
    assert parse_composites(["blur=b=c.mp4"]) == {"blur": Path("b=c.mp4")}
