"""Compiled inner loops of the CPU engine (`cpu.py` says what they are for).

All arrays are C-contiguous; features are float32 rows of length one, so a product of two rows is
their cosine similarity.
"""

from __future__ import annotations

import numpy as np

from vos.compiled import compiled
from vos.propagation.engines.array_table import array_at

SURE = np.float32(1 - 1e-6)  # one, but for rounding
MIXED = -1  # class of a token whose label is not a single object (or the background) alone


@compiled()
def pure_classes(labels):  # type: ignore[no-untyped-def]
    """(N,) int32: the channel of (N, K + 1) labels that is one, or MIXED."""
    tokens, channels = labels.shape
    classes = np.full(tokens, MIXED, np.int32)
    for token in range(tokens):
        for channel in range(channels):
            if labels[token, channel] > SURE:
                classes[token] = channel
    return classes


@compiled()
def extremes_around(classes, height, width, reach_y, reach_x):  # type: ignore[no-untyped-def]
    """Smallest and largest class within a rectangle of (2 reach + 1) tokens around each token."""
    low_rows = np.empty((height, width), np.int32)
    high_rows = np.empty((height, width), np.int32)
    plane = classes.reshape(height, width)
    for y in range(height):
        for x in range(width):
            low, high = plane[y, x], plane[y, x]
            for other in range(max(0, x - reach_x), min(width, x + reach_x + 1)):
                low = min(low, plane[y, other])
                high = max(high, plane[y, other])
            low_rows[y, x], high_rows[y, x] = low, high
    lows = np.empty((height, width), np.int32)
    highs = np.empty((height, width), np.int32)
    for y in range(height):
        top, bottom = max(0, y - reach_y), min(height, y + reach_y + 1)
        for x in range(width):
            low, high = low_rows[y, x], high_rows[y, x]
            for other in range(top, bottom):
                low = min(low, low_rows[other, x])
                high = max(high, high_rows[other, x])
            lows[y, x], highs[y, x] = low, high
    return lows.ravel(), highs.ravel()


@compiled(fastmath=True)
def product(query, token, key, place):  # type: ignore[no-untyped-def]
    """Product of a row of ``query`` and one of ``key``."""
    total = np.float32(0)
    for channel in range(query.shape[1]):
        total += query[token, channel] * key[place, channel]
    return total


@compiled()
def agreed_classes(tokens, frames, places, classes):  # type: ignore[no-untyped-def]
    """(N,) int32: the class that all k places of a token are of; MIXED where there are fewer.

    ``classes`` is an `ArrayTable` of (N,), one per source.
    """
    agreed = np.full(len(frames), MIXED, np.int32)
    for token in tokens:
        if frames[token, -1] < 0:
            continue
        first = array_at(classes, frames[token, 0])[places[token, 0]]
        same = True
        for slot in range(1, frames.shape[1]):
            same &= array_at(classes, frames[token, slot])[places[token, slot]] == first
        if same:
            agreed[token] = first
    return agreed


@compiled()
def offer(values, frames, places, similarity, frame, place, count):  # type: ignore[no-untyped-def]
    """Insert one candidate ``count`` times into a descending list, as far as it belongs there."""
    last = len(values) - 1
    for _ in range(count):
        if similarity <= values[last]:
            return
        slot = last
        while slot > 0 and values[slot - 1] < similarity:
            values[slot] = values[slot - 1]
            frames[slot] = frames[slot - 1]
            places[slot] = places[slot - 1]
            slot -= 1
        values[slot] = similarity
        frames[slot] = frame
        places[slot] = place


@compiled(fastmath=True)
def _largest(row, start, stop):  # type: ignore[no-untyped-def]
    largest = row[start]
    for column in range(start + 1, stop):
        largest = max(largest, row[column])
    return largest


@compiled()
def _scan(  # type: ignore[no-untyped-def]
    bounds,
    start,
    stop,
    first_place,
    query,
    token,
    key,
    frame,
    count,
    threshold,
    values,
    frames,
    places,
):
    """Offer the places whose ``bounds[start:stop]`` pass; entry ``start`` is ``first_place``.

    The maximum is taken first (it vectorises): most stretches hold nothing new.
    """
    if start >= stop or _largest(bounds, start, stop) <= max(values[-1], threshold):
        return
    for column in range(start, stop):
        if bounds[column] > max(values[-1], threshold):
            place = first_place + column - start
            offer(values, frames, places, product(query, token, key, place), frame, place, count)


@compiled()
def merge_everywhere(  # type: ignore[no-untyped-def]
    tokens,
    bounds,
    first_place,
    frame,
    count,
    worker,
    workers,
    query,
    key,
    thresholds,
    values,
    frames,
    places,
):
    """Merge a run of places of an unrestricted source, starting at ``first_place``.

    ``bounds`` is (tokens, places of the run).
    """
    stretch = 64
    for number in range(worker, len(tokens), workers):
        token = tokens[number]
        row = bounds[number]
        for start in range(0, len(row), stretch):
            stop = min(len(row), start + stretch)
            _scan(
                row,
                start,
                stop,
                first_place + start,
                query,
                token,
                key,
                frame,
                count,
                thresholds[token],
                values[token],
                frames[token],
                places[token],
            )


@compiled()
def vote(tokens, values, frames, places, labels, temperature, result):  # type: ignore[no-untyped-def]
    """Average the neighbours' labels with weights softmax(similarity / temperature).

    ``labels`` is an `ArrayTable` of (N, K + 1), one per source.
    """
    neighbours = values.shape[1]
    weights = np.empty(neighbours, np.float32)
    for token in tokens:
        total = np.float32(0.0)
        for slot in range(neighbours):
            weight = np.float32(0.0)
            if frames[token, slot] >= 0:
                weight = np.exp((values[token, slot] - values[token, 0]) / temperature)
            weights[slot] = weight
            total += weight
        result[token] = 0.0
        for slot in range(neighbours):
            if weights[slot] > 0.0:
                label = array_at(labels, frames[token, slot])[places[token, slot]]
                share = weights[slot] / total
                for channel in range(len(label)):
                    if label[channel] != 0.0:
                        result[token, channel] += share * label[channel]
