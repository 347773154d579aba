"""The ``sample`` data set: short clips rendered by vos itself, with exact masks.

Six clips of 28 to 40 frames in DAVIS-2017 layout, two to five textured objects each, that
translate, rotate, scale, deform and occlude one another before moving textured backgrounds.
Objects and background share colours, some objects are twins, light changes: matching by colour
alone does badly. It is no benchmark for papers; it is there so that everything can be tried,
tested and shown without a download.

The masks and the pixels before compression are the same on every machine (``noise`` says why).
Frames are stored as JPEG, as in DAVIS, so that outside tools read the folder as they are: quality
95 without chroma subsampling, which every build of libjpeg encodes and decodes alike.
"""

from __future__ import annotations

from vos.datasets.sample.store import SAMPLE_VERSION, open_sample, render_sample, sample_folder
from vos.datasets.sample.tracks import Tracks, track_points

__all__ = [
    "SAMPLE_VERSION",
    "Tracks",
    "open_sample",
    "render_sample",
    "sample_folder",
    "track_points",
]
