"""The strip under the timeline: how confident the propagator is, and what is marked."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

COLUMNS = 300


def strip(
    confidence: np.ndarray,
    annotated: Collection[int],
    position: int,
    *,
    trim: tuple[int, int],
    lowest: int | None = None,
) -> str:
    """SVG, one column a frame (or the least sure of a few frames), with a text for readers.

    Args:
        confidence: (T,) float, NaN where nothing was propagated.
        annotated: frames a person marked.
        lowest: the next frame to correct, if any.
    """
    count = len(confidence)
    edges = np.unique(np.linspace(0, count, min(count, COLUMNS) + 1).round().astype(int))
    bars = []
    for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = confidence[first:stop]
        known = part[~np.isnan(part)]
        if len(known):
            value = float(known.min())
            bars.append(
                f'<rect x="{first}" width="{stop - first}" y="{24 * (1 - value):.1f}" '
                f'height="{24 * value:.1f}" fill="{_colour(value)}"/>'
            )
    width = max(count / 400, 0.35)
    marks = [_mark(index + 0.5, width, "strip-mark") for index in sorted(annotated)]
    here = _mark(position + 0.5, width, "strip-here")
    cut = "".join(
        f'<rect x="{start}" width="{stop - start}" y="0" height="24" class="strip-cut"/>'
        for start, stop in ((0, trim[0]), (trim[1] + 1, count))
        if stop > start
    )
    text = _text(confidence, annotated, lowest)
    masks = "" if np.isnan(confidence).all() else " data-masks"  # `page.js` asks before they go
    return (
        f'<div class="strip"{masks} title="Click to go to a frame">'
        f'<svg viewBox="0 0 {count} 24" preserveAspectRatio="none" role="img" '
        f'aria-label="{text}">{"".join(bars)}{cut}{"".join(marks)}{here}</svg>'
        f"<small>{text}</small></div>"
    )


def _mark(x: float, width: float, kind: str) -> str:
    return f'<rect x="{x - width / 2:.2f}" width="{width:.2f}" y="0" height="24" class="{kind}"/>'


def _colour(value: float) -> str:
    """Red through yellow to green, 0.15 and below being red, 0.85 and above green."""
    share = min(1.0, max(0.0, (value - 0.15) / 0.7))
    return f"hsl({120 * share:.0f} 65% 48%)"


def _text(confidence: np.ndarray, annotated: Collection[int], lowest: int | None) -> str:
    known = int((~np.isnan(confidence)).sum())
    marked = f"{len(annotated)} marked"
    if known == 0:
        return f"Confidence: nothing propagated yet, {marked}."
    text = f"Confidence: {known} of {len(confidence)} frames have masks, {marked}"
    if lowest is None:
        return f"{text}."
    return f"{text}; least sure at frame {lowest} ({100 * float(confidence[lowest]):.0f} %)."
