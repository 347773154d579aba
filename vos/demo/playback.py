"""Frames as the page plays them: small pictures with the objects drawn in, some at a time."""

from __future__ import annotations

from itertools import islice
from typing import Any

import cv2

from vos.demo.canvas import data_url, shrunk
from vos.demo.session import Session
from vos.media.drawing import overlay

LONG_SIDE = 960  # of a picture, in pixels
AT_ONCE = 24  # pictures at most


def frames_ahead(session: Session, frame: int, step: int, count: int) -> dict[str, Any]:
    """Return up to ``count`` pictures from ``frame`` on, every ``step`` frames.

    Playing ends with the last frame of the trimmed part; from there, or from outside of it, it
    starts over.

    Returns:
        ``pictures``, each with its index, its time in seconds and its JPEG; ``end``, whether the
        last of them is the last to play.
    """
    clip = session.clip
    first, last = clip.trim
    start = frame if first <= frame < last else first
    indices = list(islice(range(start, last + 1, max(1, step)), min(max(1, count), AT_ONCE)))
    end = indices[-1] + max(1, step) > last
    if end and indices[-1] != last:
        indices.append(last)
    pictures = [
        {"index": i, "time": float(clip.times[i]), "picture": _picture(session, i)} for i in indices
    ]
    return {"pictures": pictures, "end": end}


def _picture(session: Session, index: int) -> str:
    frame, mask = shrunk(session.clip.played[index], session.mask(index), LONG_SIDE)
    drawn = overlay(
        frame,
        session.objects.without_hidden(mask),
        session.opacity,
        colours=session.objects.palette(),
    )
    return data_url(drawn[..., ::-1], ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 80])
