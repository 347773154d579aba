"""Clicks and a box on one object of one frame, and the masks that they made."""

from __future__ import annotations

import numpy as np

from vos.segmentation.interactive import Box, Click, InteractiveFrame, check_prompts


class Pointing:
    """What was pointed at so far; what undo takes back is forgotten here, too.

    Attributes:
        index: the frame.
        object_id: the object.
        clicks, box: in pixels of the frame.
        before: (H, W) uint8, the mask of the frame before any of them.
    """

    def __init__(self, index: int, object_id: int, mask: np.ndarray) -> None:
        self.index = index
        self.object_id = object_id
        self.clicks: tuple[Click, ...] = ()
        self.box: Box | None = None
        self.before = mask
        self._steps: list[tuple[tuple[Click, ...], Box | None, np.ndarray]] = [
            (self.clicks, self.box, mask)
        ]

    def keep_to(self, mask: np.ndarray) -> bool:
        """Go back to the step that made the frame's ``mask``; return whether there is one."""
        for number in range(len(self._steps) - 1, -1, -1):
            if np.array_equal(self._steps[number][2], mask):
                del self._steps[number + 1 :]
                self.clicks, self.box = self._steps[-1][:2]
                return True
        return False

    def region(
        self, frame: InteractiveFrame, clicks: tuple[Click, ...], box: Box | None
    ) -> np.ndarray:
        """Return (H, W) bool: the object by clicks that correct what was there, or by a box.

        Raises:
            UsageError: outside the frame, or there is nothing to take away from.
        """
        object_before = self.before == self.object_id
        start = object_before if box is None and object_before.any() else None
        return frame.mask(*check_prompts(frame.image, clicks, box, start), start)

    def note(self, clicks: tuple[Click, ...], box: Box | None, mask: np.ndarray) -> None:
        """Note what was pointed at, and what the frame's mask became by it."""
        self.clicks, self.box = clicks, box
        self._steps.append((clicks, box, mask))
