"""Compiled inner loops of the CPU engine (`cpu.py` says what they are for).

All arrays are C-contiguous; features are float32 rows of length one, so a product of two rows is
their cosine similarity.
"""

from __future__ import annotations

import numpy as np

from vos.compiled import compiled

MIXED = -1  # class of a token whose label is not a single object (or the background) alone


@compiled()
def pure_classes(labels):  # type: ignore[no-untyped-def]
    """(N,) int32: the only channel of (N, K + 1) labels that is not zero, or MIXED."""
    tokens, channels = labels.shape
    classes = np.empty(tokens, np.int32)
    for token in range(tokens):
        found = MIXED
        for channel in range(channels):
            if labels[token, channel] != 0.0:
                if found != MIXED:
                    found = MIXED
                    break
                found = channel
        classes[token] = found
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
def _similarity(query, key):  # type: ignore[no-untyped-def]
    """Product of two feature vectors."""
    total = np.float32(0)
    for channel in range(len(query)):
        total += query[channel] * key[channel]
    return total


@compiled(fastmath=True)
def kth_of_nearby(tokens, query, keys, near, counts, grid, penalty, neighbours):  # type: ignore[no-untyped-def]
    """A lower bound of each token's k-th largest similarity, from the places right beside it.

    Looks at the 3 x 3 places around ``tokens`` in the first ``near`` of ``keys`` (newest first),
    frame by frame, until twice ``neighbours`` candidates are seen. -inf where there are fewer than
    ``neighbours``.
    """
    height, width = grid
    bounds = np.empty(len(tokens), np.float32)
    best = np.empty(neighbours, np.float32)
    for number in range(len(tokens)):
        token = tokens[number]
        y, x = token // width, token % width
        best[:] = -np.inf
        seen = 0
        for frame in range(near):
            if seen >= 2 * neighbours:
                break
            for ky in range(max(0, y - 1), min(height, y + 2)):
                for kx in range(max(0, x - 1), min(width, x + 2)):
                    similarity = _similarity(query[token], keys[frame][ky * width + kx])
                    similarity -= penalty * np.float32((ky - y) ** 2 + (kx - x) ** 2)
                    for _ in range(min(counts[frame], neighbours)):
                        seen += 1
                        if similarity <= best[neighbours - 1]:
                            break
                        slot = neighbours - 1
                        while slot > 0 and best[slot - 1] < similarity:
                            best[slot] = best[slot - 1]
                            slot -= 1
                        best[slot] = similarity
        bounds[number] = best[neighbours - 1]
    return bounds


@compiled()
def _offer(values, frames, places, similarity, frame, place, count):  # type: ignore[no-untyped-def]
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


@compiled(fastmath=True)
def _penalise(row, start, stop, dx, dy, penalty):  # type: ignore[no-untyped-def]
    """Take the penalty of distance off ``row[start:stop]``, which begins (dy, dx) away."""
    for column in range(start, stop):
        row[column] -= penalty * np.float32(dy * dy + dx * dx)
        dx += 1


@compiled()
def _scan(  # type: ignore[no-untyped-def]
    bounds,
    start,
    stop,
    first_place,
    query,
    key,
    frame,
    count,
    token,
    width,
    penalty,
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
            similarity = _similarity(query, key[place])
            if penalty > 0.0:
                dy, dx = place // width - token // width, place % width - token % width
                similarity -= penalty * np.float32(dy * dy + dx * dx)
            _offer(values, frames, places, similarity, frame, place, count)


@compiled()
def windowed_neighbours(  # type: ignore[no-untyped-def]
    tiles,
    tile_starts,
    worker,
    workers,
    query,
    reduced_query,
    keys,
    reduced_keys,
    near,
    counts,
    grid,
    halves,
    penalty,
    thresholds,
    values,
    frames,
    places,
):
    """Merge the windowed sources into the k best of each token, tile by tile.

    Args:
        tiles: tokens, grouped by tile; tile i is ``tiles[tile_starts[i] : tile_starts[i + 1]]``.
        worker, workers: this call does tiles worker, worker + workers, ...
        query, reduced_query: (N, C) and (N, d + 1).
        keys, reduced_keys: lists of the like, one a source, of which the first ``near`` are
            windowed; ``counts`` says how often each one counts.
        grid: height and width.
        halves: (2 R + 1,) half widths of the window's rows.
        penalty: what a similarity loses for each squared token of distance.
        thresholds: (N,) similarities below it are of no interest.
        values, frames, places: (N, k) the best so far, descending; updated in place.
    """
    height, width = grid
    reach_y = len(halves) // 2
    reach_x = 0
    for half in halves:
        reach_x = max(reach_x, half)
    numbers = reduced_query.shape[1]
    for tile in range(worker, len(tile_starts) - 1, workers):
        tokens = tiles[tile_starts[tile] : tile_starts[tile + 1]]
        top, bottom, left, right = height, 0, width, 0
        rows = np.empty((len(tokens), numbers), np.float32)
        for number in range(len(tokens)):
            token = tokens[number]
            rows[number] = reduced_query[token]
            top, bottom = min(top, token // width), max(bottom, token // width)
            left, right = min(left, token % width), max(right, token % width)
        top, bottom = max(0, top - reach_y), min(height, bottom + reach_y + 1)
        left, right = max(0, left - reach_x), min(width, right + reach_x + 1)
        span = right - left
        # One matrix product per tile and frame: the tile's tokens times the union of their windows.
        union = np.empty(((bottom - top) * span, numbers), np.float32)
        bounds = np.empty((len(tokens), len(union)), np.float32)
        for frame in range(near):
            key = reduced_keys[frame]
            for y in range(top, bottom):
                start = (y - top) * span
                union[start : start + span] = key[y * width + left : y * width + right]
            np.dot(rows, union.T, bounds)
            for number in range(len(tokens)):
                token = tokens[number]
                row = bounds[number]
                y0, x0 = token // width, token % width
                for y in range(max(0, y0 - reach_y), min(height, y0 + reach_y + 1)):
                    half = halves[reach_y + y - y0]
                    start, stop = max(0, x0 - half), min(width, x0 + half + 1)
                    offset = (y - top) * span - left
                    if penalty > 0.0:
                        _penalise(row, offset + start, offset + stop, start - x0, y - y0, penalty)
                    _scan(
                        row,
                        offset + start,
                        offset + stop,
                        y * width + start,
                        query[token],
                        keys[frame],
                        frame,
                        counts[frame],
                        token,
                        width,
                        penalty,
                        thresholds[token],
                        values[token],
                        frames[token],
                        places[token],
                    )


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
                query[token],
                key,
                frame,
                count,
                token,
                1,
                np.float32(0),
                thresholds[token],
                values[token],
                frames[token],
                places[token],
            )


@compiled()
def vote(tokens, values, frames, places, labels, temperature, result):  # type: ignore[no-untyped-def]
    """Average the neighbours' labels with weights softmax(similarity / temperature)."""
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
                label = labels[frames[token, slot]][places[token, slot]]
                share = weights[slot] / total
                for channel in range(len(label)):
                    if label[channel] != 0.0:
                        result[token, channel] += share * label[channel]
