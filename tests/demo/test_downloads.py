"""Every download holds what the session holds, in the format it says."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from vos.demo.downloads import FORMATS, write_download
from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.errors import UsageError
from vos.media import PALETTE, open_video, read_rle


@pytest.fixture
def session(tmp_path, clip) -> Session:
    session = Session(tmp_path / "session", Limits())
    session.open(clip.path, name="clip")
    for index, mask in enumerate(clip.masks):
        session.annotate(index, mask)
    return session


def images(path):
    with zipfile.ZipFile(path) as archive:
        return {
            name: Image.open(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if name.endswith(".png")
        }


def test_palette_pngs_are_exact_and_in_the_layout_of_results(session, clip):
    found = images(write_download(session, "png"))
    assert list(found) == [f"clip/{index:05d}.png" for index in range(len(clip.masks))]
    for image, mask in zip(found.values(), clip.masks, strict=True):
        assert image.mode == "P" and image.getpalette() == PALETTE.ravel().tolist()
        np.testing.assert_array_equal(np.array(image), mask)


def test_every_format_of_masks_names_the_objects(session):
    session.objects.change(2, name="chien é")
    with zipfile.ZipFile(write_download(session, "png")) as archive:
        assert json.loads(archive.read("objects.json")) == {"1": "Object 1", "2": "chien é"}
    categories = json.loads(write_download(session, "rle").read_text())["categories"]
    assert categories == [{"id": 1, "name": "Object 1"}, {"id": 2, "name": "chien é"}]


def test_confidence_in_each_object_by_the_name_of_the_frame(session, clip):
    session.clip.trim = (4, 5)
    session.clip.work.clear(5)
    session.clip.work._store.write_mask(5, clip.masks[5], {1: 0.25, 2: 0.75})
    found = json.loads(write_download(session, "confidence").read_text())
    assert found == {"00004": {"1": 1.0, "2": 1.0}, "00005": {"1": 0.25, "2": 0.75}}


def test_run_lengths_are_exact(session, clip):
    masks = list(read_rle(write_download(session, "rle")))
    np.testing.assert_array_equal(masks, clip.masks)


def test_mots_holds_class_and_instance(session, clip):
    session.objects.change(2, name="dog")
    path = write_download(session, "mots")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("default/instances/labels.txt").decode() == "Object 1\ndog\n"
    image = np.array(images(path)["default/instances/frame_000003.png"])
    assert image.max() > 255, "16 bits"
    np.testing.assert_array_equal(image % 1000, clip.masks[3])
    np.testing.assert_array_equal(image // 1000, clip.masks[3])


def test_cutouts_hold_the_visible_objects_only(session, clip):
    session.objects.change(1, visible=False)
    image = np.array(images(write_download(session, "cutouts"))["clip/00002.png"])
    np.testing.assert_array_equal(image[..., 3] == 255, clip.masks[2] == 2)
    frame = open_video(clip.path)[2]
    np.testing.assert_array_equal(image[..., :3][clip.masks[2] == 2], frame[clip.masks[2] == 2])


def test_overlay_video_shows_the_colours(session, clip):
    session.objects.change(1, colour="#ff00ff")
    session.opacity = 1.0
    path = write_download(session, "overlay")
    video = open_video(path)
    assert video.count_frames() == len(clip.masks) and video.size == (180, 320)
    inside = video[4][clip.masks[4] == 1].astype(int)
    assert np.median(inside[:, 1]) < 60 < 200 < np.median(inside[:, 0])


@pytest.mark.parametrize("kind", ["prores", "webm", "green", "matte", "blur", "spotlight"])
def test_videos_for_editing_show_the_visible_objects_only(session, clip, kind):
    session.objects.change(1, visible=False)
    video = open_video(write_download(session, kind))
    assert video.count_frames() == len(clip.masks) and video.size == (180, 320)
    shown, frame = (open_video(path)[2].astype(int) for path in (video.path, clip.path))
    away = np.abs(shown - frame).mean(axis=2)
    kept = shown[clip.masks[2] == 2] > 200 if kind == "matte" else away[clip.masks[2] == 2] < 15
    assert kept.mean() > 0.8
    assert np.median(away[clip.masks[2] == 1]) > 15, "the hidden object is background"


def test_a_picture_goes_behind_the_visible_objects(session, clip, tmp_path):
    with pytest.raises(UsageError, match="Choose a picture"):
        write_download(session, "background")
    picture = tmp_path / "beach.png"
    Image.new("RGB", (50, 90), (20, 40, 200)).save(picture)
    session.adopt_background(picture)
    session.objects.change(1, visible=False)
    video = open_video(write_download(session, "background"))
    assert video.count_frames() == len(clip.masks) and video.size == (180, 320)
    shown, mask = video[2].astype(int), clip.masks[2]
    assert np.abs(np.median(shown[mask != 2], axis=0) - (20, 40, 200)).max() < 12
    assert np.median(np.abs(shown - session.clip.frames[2])[mask == 2]) < 12
    session.close()
    assert not picture.exists()


def test_features_in_colours_of_the_trimmed_part_with_progress(session):
    session.model, session.device = "lab", "cpu"
    session.clip.trim = (3, 6)
    told = []
    path = write_download(session, "pca", lambda done, total: told.append((done, total)))
    assert told == [(done, 8) for done in range(1, 9)]
    video = open_video(path)
    assert video.count_frames() == 4 and video.size == (360, 320)
    shown = video[1][:180].astype(int)
    assert abs(shown - session.clip.frames[4]).mean() < 4, "the second picture is frame 4"
    assert [left.name for left in path.parent.iterdir()] == [path.name]


def test_the_trimmed_part_only(session):
    session.clip.trim = (2, 4)
    names = list(images(write_download(session, "png")))
    assert names == ["clip/00002.png", "clip/00003.png", "clip/00004.png"]
    assert open_video(write_download(session, "overlay")).count_frames() == 3


def test_nothing_to_download(tmp_path, clip):
    session = Session(tmp_path / "empty", Limits())
    session.open(clip.path)
    for key in set(FORMATS) - {"pca"}:
        with pytest.raises(UsageError, match="no masks"):
            write_download(session, key)
    with pytest.raises(UsageError, match="unknown format"):
        write_download(session, "../../etc/passwd")


def test_masks_of_a_folder_of_frames_bear_the_names_of_the_frames(tmp_path, clip):
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(open_video(clip.path)[index]).save(folder / f"shot_{index + 101:04d}.png")
    session = Session(tmp_path / "session", Limits())
    session.open(folder, name="shot")
    session.annotate(1, clip.masks[1])
    names = [f"shot_{index + 101:04d}.png" for index in range(3)]
    for key, place in (("png", "shot"), ("cutouts", "shot"), ("mots", "default/instances")):
        found = images(write_download(session, key))
        assert list(found) == [f"{place}/{name}" for name in names]
        values = [np.asarray(image).reshape(*image.size, -1)[..., -1] for image in found.values()]
        assert [bool(value.any()) for value in values] == [False, True, False]
