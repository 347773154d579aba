"""The endpoint for scripts, used as its documentation says."""

from __future__ import annotations

import numpy as np
import pytest
from visitor import masks_in

from vos.media import write_mask
from vos.segmentation import propagate

gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio")


@pytest.fixture(scope="module")
def client(running):
    return gradio_client.Client(running.url, verbose=False)


def test_a_script_gets_the_masks(client, clip, tmp_path, running):
    write_mask(tmp_path / "first.png", clip.masks[0])
    before = len(running.store)
    calls = [
        client.submit(
            gradio_client.handle_file(str(clip.path)),
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
    assert len(masks) == len(clip.masks)
    np.testing.assert_array_equal(again, masks, "who waited in line with the same upload")
    np.testing.assert_array_equal(masks[0], clip.masks[0])
    for index, _, mask in propagate(clip.path, {0: clip.masks[0]}, model="lab", device="cpu"):
        np.testing.assert_array_equal(masks[index], mask)
    assert len(running.store) == before, "the session of a script ends with its call"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model": "resnet999"}, "unknown model"),
        ({"preset": "crv"}, "did you mean crw"),
        ({"format": "gif"}, "unknown format"),
        ({"frame": 99}, "no frame 99"),
    ],
)
def test_mistakes_are_explained(client, clip, tmp_path, change, words):
    write_mask(tmp_path / "first.png", clip.masks[0])
    arguments = {"frame": 0, "model": "lab", "preset": "default", "format": "png", **change}
    with pytest.raises(Exception, match=words):
        client.predict(
            gradio_client.handle_file(str(clip.path)),
            gradio_client.handle_file(str(tmp_path / "first.png")),
            **arguments,
            api_name="/segment",
        )
