"""Compiled inner loops of the CPU engine (`cpu.py` says what they are for).

All arrays are C-contiguous; features are float32 rows of length one, so a product of two rows is
their cosine similarity.
"""

from __future__ import annotations

import numpy as np

from vos.compiled import compiled

MIXED = -1  # class of a token whose label is not a single object (or the background) alone
GROUP = 8  # tokens that are led to places nearer than that are met in one product
FAR = 1e9  # what a place outside the window loses
LEAST = np.float32(-FAR / 2)  # below all similarities, above what is left of those outside


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


@compiled()
def _distance2(place, token, lead, width):  # type: ignore[no-untyped-def]
    """Squared distance of a place from the nearer of a token's own place and its lead."""
    y, x = place // width, place % width
    from_own = (y - token // width) ** 2 + (x - token % width) ** 2
    from_lead = (y - lead // width) ** 2 + (x - lead % width) ** 2
    return np.float32(min(from_own, from_lead))


@compiled()
def _window_row(y, centre, halves, width):  # type: ignore[no-untyped-def]
    """Columns (start, stop) of row ``y`` of the window around a place; (0, 0) where it has none."""
    reach = len(halves) // 2
    dy = y - centre // width
    if abs(dy) > reach:
        return 0, 0
    x, half = centre % width, halves[reach + dy]
    return max(0, x - half), min(width, x + half + 1)


@compiled()
def kth_of_nearby(  # type: ignore[no-untyped-def]
    tokens, query, keys, near, counts, leads, grid, halves, penalty, neighbours
):
    """A lower bound of each token's k-th largest similarity, from places it most resembles.

    Looks at the 3 x 3 places, as far as they are inside the window, around where each of
    ``tokens`` leads to in the first ``near`` of ``keys`` (newest first), frame by frame, until
    twice ``neighbours`` candidates are seen. -inf where there are fewer than ``neighbours``.
    """
    height, width = grid
    bounds = np.empty(len(tokens), np.float32)
    best = np.empty(neighbours, np.float32)
    for number in range(len(tokens)):
        token = tokens[number]
        best[:] = -np.inf
        seen = 0
        for frame in range(near):
            if seen >= 2 * neighbours:
                break
            lead = leads[frame][token]
            y, x = lead // width, lead % width
            for ky in range(max(0, y - 1), min(height, y + 2)):
                start, stop = _window_row(ky, lead, halves, width)
                for kx in range(max(start, x - 1), min(stop, x + 2)):
                    place = ky * width + kx
                    similarity = _similarity(query[token], keys[frame][place])
                    similarity -= penalty * _distance2(place, token, lead, width)
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
def _any_above(bounds, first, columns, penalties, beyond, own, led, least):  # type: ignore[no-untyped-def]
    """Whether any of a row of bounds exceeds ``least``, each less what it loses.

    Most rows hold nothing new and are passed over by this loop, so it must vectorise: indices
    without a sign, no slices, and no way out.

    Args:
        bounds: of which entries ``first`` to ``first + columns`` are the row.
        penalties, beyond: flat tables of what is lost by offset; ``own`` and ``led`` are where they
            hold the first column's offset from the token and from its lead.
    """
    first, own, led = np.uint64(first), np.uint64(own), np.uint64(led)
    above = False
    for column in range(np.uint64(columns)):
        value = bounds[first + column] - min(penalties[own + column], penalties[led + column])
        above |= value - min(beyond[own + column], beyond[led + column]) > least
    return above


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
    lead,
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
                similarity -= penalty * _distance2(place, token, lead, width)
            _offer(values, frames, places, similarity, frame, place, count)


@compiled()
def _scan_region(  # type: ignore[no-untyped-def]
    bounds,
    region,
    tokens,
    led,
    query,
    key,
    frame,
    count,
    grid,
    halves,
    penalties,
    beyond,
    thresholds,
    values,
    frames,
    places,
):
    """Offer to each token the places of a rectangle in the window around it or around its lead.

    Args:
        bounds: flat, of the tokens in turn and of the places of ``region`` row by row.
        tokens: they, and ``led``, where the flow leads them to; other arguments as in
            `windowed_neighbours`.
    """
    height, width = grid
    top, bottom, left, right = region
    across, reach, reach_x = 2 * width - 1, len(halves) // 2, halves.max()
    for number in range(len(tokens)):
        token, lead = tokens[number], led[number]
        y, led_y, x, led_x = token // width, lead // width, token % width, lead % width
        start = max(left, min(x, led_x) - reach_x)
        columns = min(right, max(x, led_x) + reach_x + 1) - start
        own_at = (height - 1 - y) * across + width - 1 - x + start
        led_at = (height - 1 - led_y) * across + width - 1 - led_x + start
        least = max(values[token, -1], thresholds[token])
        for row in range(max(top, min(y, led_y) - reach), min(bottom, max(y, led_y) + reach + 1)):
            first = (number * (bottom - top) + row - top) * (right - left) + start - left
            own, there = own_at + row * across, led_at + row * across
            if not _any_above(bounds, first, columns, penalties, beyond, own, there, least):
                continue
            for column in range(columns):
                penalty = min(penalties[own + column], penalties[there + column])
                loss = penalty + min(beyond[own + column], beyond[there + column])
                if bounds[first + column] - loss > least:
                    place = row * width + start + column
                    similarity = _similarity(query[token], key[place]) - penalty
                    _offer(
                        values[token],
                        frames[token],
                        places[token],
                        similarity,
                        frame,
                        place,
                        count,
                    )
                    least = max(values[token, -1], thresholds[token])


@compiled()
def _forget(bounds, region, known):  # type: ignore[no-untyped-def]
    """Lower the bounds of those places of a rectangle that another one holds below all others."""
    top, bottom, left, right = region
    start, stop = max(left, known[2]), min(right, known[3])
    for row in range(max(top, known[0]), min(bottom, known[1])):
        offset = (row - top) * (right - left) - left
        if start < stop:
            bounds[:, offset + start : offset + stop] = -FAR


@compiled()
def _box(places, width):  # type: ignore[no-untyped-def]
    """The smallest rectangle (top, bottom, left, right) that holds ``places``."""
    top, left = places[0] // width, places[0] % width
    bottom, right = top, left
    for place in places:
        top, bottom = min(top, place // width), max(bottom, place // width)
        left, right = min(left, place % width), max(right, place % width)
    return top, bottom + 1, left, right + 1


@compiled()
def _reached(box, halves, grid):  # type: ignore[no-untyped-def]
    """The rectangle that holds the windows around all places of ``box``."""
    reach_y, reach_x = len(halves) // 2, halves.max()
    top, bottom, left, right = box
    return (
        max(0, top - reach_y),
        min(grid[0], bottom + reach_y),
        max(0, left - reach_x),
        min(grid[1], right + reach_x),
    )


@compiled()
def _area(region):  # type: ignore[no-untyped-def]
    top, bottom, left, right = region
    return (bottom - top) * (right - left)


@compiled()
def _joined(box, other):  # type: ignore[no-untyped-def]
    """The smallest rectangle that holds two others."""
    return (
        min(box[0], other[0]),
        max(box[1], other[1]),
        min(box[2], other[2]),
        max(box[3], other[3]),
    )


@compiled()
def _bounds_in(region, rows, key, width):  # type: ignore[no-untyped-def]
    """Products of ``rows`` with all places of a rectangle of ``key``, row by row."""
    top, bottom, left, right = region
    span = right - left
    union = np.empty(((bottom - top) * span, rows.shape[1]), np.float32)
    for y in range(top, bottom):
        start = (y - top) * span
        union[start : start + span] = key[y * width + left : y * width + right]
    return np.dot(rows, union.T)


@compiled()
def _next_group(leads, waiting, width):  # type: ignore[no-untyped-def]
    """Of the ``waiting`` tokens, the first and those that are led to near where it is.

    They wait no longer.
    """
    members = np.empty(len(leads), np.int64)
    found = 0
    for number in range(len(leads)):
        if not waiting[number]:
            continue
        if found == 0:
            y, x = leads[number] // width, leads[number] % width
        dy, dx = leads[number] // width - y, leads[number] % width - x
        if max(abs(dy), abs(dx)) < GROUP:
            waiting[number] = False
            members[found] = number
            found += 1
    return members[:found]


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
    leads,
    grid,
    halves,
    penalties,
    beyond,
    thresholds,
    values,
    frames,
    places,
):
    """Merge the windowed sources into the k best of each token, tile by tile.

    Of each frame a tile meets the rectangle that holds the windows around its tokens, in one
    matrix product. Where the flow leads nearby, the rectangle is made to hold the windows there
    too; where it leads farther, those are met apart, tokens that are led to neighbouring places
    together.

    Args:
        tiles: tokens, grouped by tile; tile i is ``tiles[tile_starts[i] : tile_starts[i + 1]]``.
        worker, workers: this call does tiles worker, worker + workers, ...
        query, reduced_query: (N, C) and (N, d + 1).
        keys, reduced_keys: lists of the like, one per source, of which the first ``near`` are
            windowed; ``counts`` says how often each one counts.
        leads: list of (N,), one per source: the place that the flow leads to from each token, its
            own place where it does not move.
        grid: height and width.
        halves: (2 R + 1,) half widths of the window's rows.
        penalties, beyond: flat (2 H - 1, 2 W - 1) tables of what a similarity loses by the offset
            of its place from a centre: for the distance from the nearer one, and for being outside
            both windows.
        thresholds: (N,) similarities below it are of no interest.
        values, frames, places: (N, k) the best so far, descending; updated in place.
    """
    width = grid[1]
    for tile in range(worker, len(tile_starts) - 1, workers):
        tokens = tiles[tile_starts[tile] : tile_starts[tile + 1]]
        rows = reduced_query[tokens]
        own_box = _box(tokens, width)
        own_region = _reached(own_box, halves, grid)
        for frame in range(near):
            led = leads[frame][tokens]
            waiting = led != tokens
            region = _reached(_joined(own_box, _box(led, width)), halves, grid)
            apart = _area(own_region) * (len(tokens) + waiting.sum())
            if _area(region) * len(tokens) <= apart:
                waiting[:] = False
            else:
                region = own_region
            members, here, known = np.arange(len(tokens)), region, (0, 0, 0, 0)
            while True:
                bounds = _bounds_in(here, rows[members], reduced_keys[frame], width)
                _forget(bounds, here, known)
                _scan_region(
                    bounds.ravel(),
                    here,
                    tokens[members],
                    led[members],
                    query,
                    keys[frame],
                    frame,
                    counts[frame],
                    grid,
                    halves,
                    penalties,
                    beyond,
                    thresholds,
                    values,
                    frames,
                    places,
                )
                if not waiting.any():
                    break
                members, known = _next_group(led, waiting, width), region
                here = _reached(_box(led[members], width), halves, grid)


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
