"""The whole job in a browser: upload, paint, propagate, correct, propagate on, download."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from visitor import Visitor, jaccard, masks_in

from vos.media import open_video, read_rle

CORRECTED = 6


@pytest.fixture
def visitor(browser, running):
    visitor = Visitor(browser, running.url)
    yield visitor
    assert visitor.errors == []
    own = (running.url, "data:", "blob:")
    assert [url for url in visitor.requests if not url.startswith(own)] == [], "looked up elsewhere"
    visitor.close()


def quality(masks, exact, frames):
    """Mean J of each object over some frames."""
    return [
        np.mean([jaccard(masks[i] == object_id, exact[i] == object_id) for i in frames])
        for object_id in (1, 2)
    ]


@pytest.mark.slow
def test_whole_job(visitor, running, clip):
    visitor.upload(clip.path)
    visitor.see_workspace()
    visitor.tool("Brush")
    visitor.paint(clip.masks[0] == 1)
    visitor.add_object()
    visitor.paint(clip.masks[0] == 2)
    visitor.propagate()
    visitor.says("Look through them")
    first = masks_in(visitor.download("palette PNGs"))
    assert len(first) == len(clip.masks)
    assert min(quality(first, clip.masks, [0])) > 0.6, "what was painted"
    assert min(quality(first, clip.masks, range(1, 10))) > 0.5

    visitor.go_to(CORRECTED)
    visitor.tool("Brush")
    visitor.paint(clip.masks[CORRECTED] == 2)
    visitor.says(f"Frame {CORRECTED} is marked")
    visitor.propagate()
    visitor.says(f"{10 - CORRECTED} frames in")
    second = masks_in(visitor.download("palette PNGs"))
    for index in range(CORRECTED):
        np.testing.assert_array_equal(second[index], first[index], "the rest is kept")
    before, after = first[CORRECTED], second[CORRECTED]
    assert (after[before != after] == 2).all(), "paint adds to the mask, the rest of it stays"
    corrected = after == 2
    exact = clip.masks[CORRECTED] == 2
    assert jaccard(corrected, exact) >= jaccard(first[CORRECTED] == 2, exact)
    assert (second[CORRECTED + 1] != first[CORRECTED + 1]).any()
    assert min(quality(second, clip.masks, range(1, 10))) > 0.5

    assert open_video(visitor.download("Overlay video")).count_frames() == 10
    np.testing.assert_array_equal(list(read_rle(visitor.download("COCO RLE"))), second)
    with zipfile.ZipFile(visitor.download("MOTS PNG")) as archive:
        image = Image.open(io.BytesIO(archive.read("default/instances/frame_000003.png")))
        np.testing.assert_array_equal(np.array(image) % 1000, second[3])
    with zipfile.ZipFile(visitor.download("Cut-outs")) as archive:
        name = next(name for name in archive.namelist() if name.endswith("00003.png"))
        alpha = np.array(Image.open(io.BytesIO(archive.read(name))))[..., 3]
        np.testing.assert_array_equal(alpha > 0, second[3] > 0)


@pytest.mark.slow
def test_nothing_is_looked_up_elsewhere(visitor, clip):
    visitor.upload(clip.path)
    visitor.see_workspace()
    assert len(visitor.requests) > 10, "where they came from is seen at the end"
