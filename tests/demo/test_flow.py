"""The whole job in a browser: upload, paint, propagate, correct, propagate on, download."""

from __future__ import annotations

import json

import numpy as np
import pytest

from visitor import Visitor, jaccard, masks_in
from vos.media import open_video


@pytest.mark.slow
def test_whole_job(browser, running, clip, tmp_path):
    visitor = Visitor(browser, running.url)
    visitor.upload(clip.path)
    visitor.see_workspace()
    visitor.start_painting()
    visitor.paint(clip.masks[0] == 1)
    visitor.page.click("#add")
    visitor.page.wait_for_selector("#objects :text('Object 2')")
    visitor.wait_for_editor()
    visitor.paint(clip.masks[0] == 2)
    visitor.propagate()
    visitor.says("a second")
    visitor.says("Look through them")
    masks = masks_in(visitor.download("palette PNGs"))
    assert len(masks) == len(clip.masks)
    for object_id in (1, 2):
        score = np.mean(
            [
                jaccard(m == object_id, e == object_id)
                for m, e in zip(masks, clip.masks, strict=True)
            ]
        )
        print(object_id, score)
        assert score > 0.5
    visitor.close()
