"""The strips under the frame: how sure each object is on each frame, and what is marked.

`strip.js` draws them from the numbers and texts that are told here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.demo.objects import DemoObject, ObjectList
from vos.segmentation.confidence import next_to_correct
from vos.segmentation.mask_store import Mark

if TYPE_CHECKING:
    from vos.segmentation import Session as MaskSession

COLUMNS = 400  # of a strip at most
UNKNOWN = 255  # of a column without masks


def strips(objects: ObjectList, work: MaskSession, trim: tuple[int, int]) -> str:
    """Return what the strips are told, as JSON: one line per object, hidden or locked ones too."""
    count, unknown = work.frame_count, np.full(work.frame_count, np.nan, np.float32)
    known = int((~np.isnan(work.confidence)).sum())
    have = f"{known} of {count} frames have masks" if known else "Nothing propagated yet"
    return json.dumps(
        {
            "count": count,
            "masks": known > 0,
            "trim": trim,
            "text": f"{have}, {len(work.marks)} marked.",
            "lines": [
                _line(item, work.object_confidence.get(item.id, unknown), work.marks)
                for item in objects
            ],
        }
    )


def _line(item: DemoObject, confidence: np.ndarray, marks: Mapping[int, Mark]) -> dict[str, Any]:
    lowest = next_to_correct(confidence, marks)
    hidden, locked = ", hidden" * (not item.visible), ", locked" * item.locked
    where = "nothing propagated yet" if lowest is None else least_sure(confidence, lowest)
    return {
        "id": item.id,
        "name": item.name,
        "colour": item.colour,
        "visible": item.visible,
        "text": f"{hidden}{locked}: {where}",
        "values": columns(confidence),
        "marks": [i for i in sorted(marks) if item.id in marks[i].shown | marks[i].erased],
    }


def least_sure(confidence: np.ndarray, frame: int) -> str:
    """Say where an object is least sure, and how sure."""
    return f"least sure at frame {frame}, {100 * float(confidence[frame]):.0f} %"


def columns(confidence: np.ndarray) -> str:
    """Return base64 of a byte per column: 0 to 200 for the least sure of its frames, 0 to 1.

    Args:
        confidence: (T,) float, NaN where nothing was propagated.
    """
    if np.isnan(confidence).all():
        return ""
    count = len(confidence)
    starts = np.linspace(0, count, min(count, COLUMNS), endpoint=False).astype(int)
    lowest = np.fmin.reduceat(confidence, starts)
    scaled = np.where(np.isnan(lowest), UNKNOWN, 200 * lowest.clip(0, 1))
    return base64.b64encode(scaled.round().astype(np.uint8).tobytes()).decode()
