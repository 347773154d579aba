"""The endpoint for scripts, used as its documentation says."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from visitor import PATIENCE, masks_in

from vos.media import open_video, write_mask
from vos.segmentation import propagate

gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio")


@pytest.fixture(scope="module")
def client(served):
    patient = {"timeout": PATIENCE / 1000}
    return gradio_client.Client(served.url, verbose=False, httpx_kwargs=patient)


def test_a_script_gets_the_masks(client, small_clip, tmp_path, running):
    twice = small_clip.masks[0].repeat(2, axis=0).repeat(2, axis=1)  # of a larger copy of the video
    write_mask(tmp_path / "first.png", twice)
    before = len(running.store)
    calls = [
        client.submit(
            gradio_client.handle_file(str(small_clip.path)),
            gradio_client.handle_file(str(tmp_path / "first.png")),
            frame=0,
            model="lab",
            preset="default",
            format="png",
            api_name="/segment",
        )
        for _ in range(2)
    ]
    masks, again = (masks_in(call.result()) for call in calls)
    assert len(masks) == len(small_clip.masks)
    np.testing.assert_array_equal(again, masks, "who waited in line with the same upload")
    np.testing.assert_array_equal(masks[0], small_clip.masks[0])
    for index, _, mask in propagate(
        small_clip.path, {0: small_clip.masks[0]}, model="lab", device="cpu"
    ):
        np.testing.assert_array_equal(masks[index], mask)
    assert len(running.store) == before, "the session of a script ends with its call"


def test_masks_of_several_frames_and_how_sure_the_rest_is(client, small_clip, tmp_path):
    marks = {index: small_clip.masks[index] for index in (2, 7)}
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        for index, mask in marks.items():
            write_mask(tmp_path / "mask.png", mask)
            archive.write(tmp_path / "mask.png", f"table/{index:05d}.png")
    files = [
        gradio_client.handle_file(str(path)) for path in (small_clip.path, tmp_path / "masks.zip")
    ]
    how = {"model": "lab", "preset": "default", "api_name": "/segment"}
    masks = masks_in(client.predict(*files, frame=99, format="png", **how))
    for index, _, mask in propagate(small_clip.path, marks, model="lab", device="cpu"):
        np.testing.assert_array_equal(masks[index], mask)
    found = json.loads(Path(client.predict(*files, format="confidence", **how)).read_text())
    assert list(found) == [f"{index:05d}" for index in range(10)]
    assert found["00002"] == {"1": 1, "2": 1}
    values = [value for objects in found.values() for value in objects.values()]
    assert len(values) == 20 and min(values) < 1 and all(0 <= value <= 1 for value in values)


def test_a_picture_behind_the_objects(client, small_clip, tmp_path):
    write_mask(tmp_path / "first.png", small_clip.masks[0])
    Image.new("RGB", (30, 20), (250, 20, 20)).save(tmp_path / "red.png")
    files = [tmp_path / "first.png", tmp_path / "red.png"]
    mask, picture = (gradio_client.handle_file(str(path)) for path in files)
    video = gradio_client.handle_file(str(small_clip.path))
    how = {"model": "lab", "preset": "default", "format": "background", "api_name": "/segment"}
    with pytest.raises(Exception, match="needs a picture"):
        client.predict(video, mask, frame=0, **how)
    made = open_video(Path(client.predict(video, mask, frame=0, background=picture, **how)))
    behind = np.median(made[0][small_clip.masks[0] == 0], axis=0)
    assert np.abs(behind - (250, 20, 20)).max() < 12


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model": "resnet999"}, "unknown model"),
        ({"preset": "crv"}, "did you mean crw"),
        ({"format": "gif"}, "unknown format"),
        ({"frame": 99}, "no frame 99"),
    ],
)
def test_mistakes_are_explained(client, small_clip, tmp_path, change, words):
    write_mask(tmp_path / "first.png", small_clip.masks[0])
    arguments = {"frame": 0, "model": "lab", "preset": "default", "format": "png", **change}
    with pytest.raises(Exception, match=words):
        client.predict(
            gradio_client.handle_file(str(small_clip.path)),
            gradio_client.handle_file(str(tmp_path / "first.png")),
            **arguments,
            api_name="/segment",
        )


def test_of_a_video_that_cannot_be_read_no_folder_of_the_server_is_told(
    client, small_clip, tmp_path, running
):
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(500))
    write_mask(tmp_path / "first.png", small_clip.masks[0])
    files = (gradio_client.handle_file(str(tmp_path / n)) for n in ("broken.mp4", "first.png"))
    with pytest.raises(Exception, match="the video is not a video that can be read") as told:
        client.predict(*files, frame=0, model="lab", api_name="/segment")
    assert str(running.store.root) not in str(told.value) and "sessions" not in str(told.value)
