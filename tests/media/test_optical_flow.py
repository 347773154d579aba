"""Flow of frames that are known to move: its direction, its unit, and what has none."""

from __future__ import annotations

import cv2
import numpy as np

from vos.media.flow import with_flow


def texture(height: int = 120, width: int = 160) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3) // 2 + cv2.GaussianBlur(noise, (0, 0), 1) // 2


def inner(flow: np.ndarray | None) -> list[float]:
    """The median flow far from the border."""
    assert flow is not None and flow.dtype == np.float32
    return np.median(flow[20:-20, 20:-20], axis=(0, 1)).tolist()


def test_flow_leads_to_where_a_pixel_was_in_the_frame_before() -> None:
    first = texture()
    moved = np.roll(first, (3, 5), axis=(0, 1))  # 3 rows down, 5 columns to the right
    (_, _, none), (index, frame, there), (_, _, back) = with_flow(
        [(7, first), (9, moved), (2, first)]
    )
    assert none is None
    assert index == 9 and frame is moved
    np.testing.assert_allclose(inner(there), [-5, -3], atol=0.2)
    np.testing.assert_allclose(inner(back), [5, 3], atol=0.2)


def test_large_frames_are_shrunk_and_their_flow_is_in_shrunk_pixels() -> None:
    first = texture(720, 960)
    moved = np.roll(first, 6, axis=1)
    _, (_, _, flow) = with_flow([(0, first), (1, moved)])
    assert flow is not None and flow.shape == (240, 320, 2)
    np.testing.assert_allclose(inner(flow), [-2, 0], atol=0.2)


def test_frames_that_cannot_be_compared_have_no_flow() -> None:
    small, other = texture(8, 40), texture()
    frames = enumerate([small, small, other, other[:60]])
    assert [flow is None for _, _, flow in with_flow(frames)] == [True] * 4
