"""Compiled inner loops of the CPU engine (`cpu.py` says what they are for).

All arrays are C-contiguous; features are float32 rows of length one, so a product of two rows is
their cosine similarity.
"""

from __future__ import annotations

import numpy as np

from vos.compiled import compiled

MIXED = -1  # class of a token whose label is not a single object (or the background) alone
GROUP = 8  # tokens that are led to places nearer than that are met in one product


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
def _penalise(row, start, stop, penalty, own, own_dy2, led, led_dy2):  # type: ignore[no-untyped-def]
    """Take the penalty of the distance from the nearer of two centres off ``row[start:stop]``.

    ``own`` and ``led`` hold squared distances of these columns from those of the centres.
    """
    for column in range(stop - start):
        distance2 = min(own[column] + own_dy2, led[column] + led_dy2)
        row[start + column] -= penalty * distance2


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
def _scan_row(  # type: ignore[no-untyped-def]
    bounds, region, y, start, stop, token, lead, window, query, source, best
):
    """Offer columns ``start`` to ``stop`` of row ``y`` of a source to a token.

    Args:
        bounds: of the places of ``region``, row by row; the penalty is taken off.
        lead: the place that the flow leads to.
        window: (halves, squares, width, penalty), where ``squares[width + dx]`` is dx^2.
        source: (features, number, count).
        best: (thresholds, values, frames, places) of all tokens.
    """
    if start >= stop:
        return
    _, squares, width, penalty = window
    key, frame, count = source
    thresholds, values, frames, places = best
    top, _, left, right = region
    offset = (y - top) * (right - left) - left
    if penalty > 0.0:
        _penalise(
            bounds,
            offset + start,
            offset + stop,
            penalty,
            squares[width + start - token % width :],
            np.float32((y - token // width) ** 2),
            squares[width + start - lead % width :],
            np.float32((y - lead // width) ** 2),
        )
    _scan(
        bounds,
        offset + start,
        offset + stop,
        y * width + start,
        query[token],
        key,
        frame,
        count,
        token,
        lead,
        width,
        penalty,
        thresholds[token],
        values[token],
        frames[token],
        places[token],
    )


@compiled()
def _scan_own(bounds, region, token, lead, window, query, source, best):  # type: ignore[no-untyped-def]
    """Offer the window around the token's own place; arguments as `_scan_row`."""
    halves, _, width, _ = window
    reach, centre = len(halves) // 2, token // width
    for y in range(max(region[0], centre - reach), min(region[1], centre + reach + 1)):
        start, stop = _window_row(y, token, halves, width)
        _scan_row(bounds, region, y, start, stop, token, lead, window, query, source, best)


@compiled()
def _scan_led(bounds, region, token, lead, window, query, source, best):  # type: ignore[no-untyped-def]
    """Offer what the window around the lead holds and that around the token's own place not."""
    halves, _, width, _ = window
    reach, centre = len(halves) // 2, lead // width
    for y in range(max(region[0], centre - reach), min(region[1], centre + reach + 1)):
        start, stop = _window_row(y, lead, halves, width)
        own_start, own_stop = _window_row(y, token, halves, width)
        before, after = min(stop, own_start), max(start, own_stop)
        _scan_row(bounds, region, y, start, before, token, lead, window, query, source, best)
        _scan_row(bounds, region, y, after, stop, token, lead, window, query, source, best)


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
    penalty,
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
        penalty: what a similarity loses for each squared token of distance.
        thresholds: (N,) similarities below it are of no interest.
        values, frames, places: (N, k) the best so far, descending; updated in place.
    """
    width = grid[1]
    squares = np.arange(-width, width + 1).astype(np.float32) ** 2
    window = (halves, squares, width, penalty)
    best = (thresholds, values, frames, places)
    for tile in range(worker, len(tile_starts) - 1, workers):
        tokens = tiles[tile_starts[tile] : tile_starts[tile + 1]]
        rows = reduced_query[tokens]
        own_box = _box(tokens, width)
        own_region = _reached(own_box, halves, grid)
        for frame in range(near):
            source = (keys[frame], frame, counts[frame])
            led = leads[frame][tokens]
            waiting = led != tokens
            region = _reached(_joined(own_box, _box(led, width)), halves, grid)
            apart = _area(own_region) * (len(tokens) + waiting.sum())
            together = _area(region) * len(tokens) <= apart
            if not together:
                region = own_region
            bounds = _bounds_in(region, rows, reduced_keys[frame], width)
            for number in range(len(tokens)):
                token, lead = tokens[number], led[number]
                _scan_own(bounds[number], region, token, lead, window, query, source, best)
                if together and lead != token:
                    _scan_led(bounds[number], region, token, lead, window, query, source, best)
            while not together and waiting.any():
                group = _next_group(led, waiting, width)
                region = _reached(_box(led[group], width), halves, grid)
                bounds = _bounds_in(region, rows[group], reduced_keys[frame], width)
                for member in range(len(group)):
                    token, lead = tokens[group[member]], led[group[member]]
                    _scan_led(bounds[member], region, token, lead, window, query, source, best)


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
