"""Compiled inner loops of the CPU engine (`cpu.py` says what they are for).

All arrays are C-contiguous; features are float32 rows of length one, so a product of two rows is
their cosine similarity.
"""

from __future__ import annotations

import numpy as np

from vos.compiled import compiled

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
def _product(query, token, key, place):  # type: ignore[no-untyped-def]
    """Product of a row of ``query`` and one of ``key``."""
    total = np.float32(0)
    for channel in range(query.shape[1]):
        total += query[token, channel] * key[place, channel]
    return total


@compiled(fastmath=True)
def _product_of_eight(query, t, key, p):  # type: ignore[no-untyped-def]
    """`_product` of rows of eight numbers, without a loop."""
    left = query[t, 0] * key[p, 0] + query[t, 1] * key[p, 1] + query[t, 2] * key[p, 2]
    right = query[t, 3] * key[p, 3] + query[t, 4] * key[p, 4] + query[t, 5] * key[p, 5]
    return left + right + query[t, 6] * key[p, 6] + query[t, 7] * key[p, 7]


@compiled()
def _distance2(row, column, own, led):  # type: ignore[no-untyped-def]
    """Squared distance of a place from the nearer of a token's own place and its lead."""
    from_own = (row - own[0]) ** 2 + (column - own[1]) ** 2
    from_lead = (row - led[0]) ** 2 + (column - led[1]) ** 2
    return np.float32(min(from_own, from_lead))


@compiled()
def _columns_of_window(row, centre, halves, width):  # type: ignore[no-untyped-def]
    """Columns (start, stop) of a row of the window around a place; (0, 0) where it has none."""
    reach = len(halves) // 2
    dy = row - centre[0]
    if abs(dy) > reach:
        return 0, 0
    half = halves[reach + dy]
    return max(0, centre[1] - half), min(width, centre[1] + half + 1)


@compiled()
def _stretches(own, led, halves, grid):  # type: ignore[no-untyped-def]
    """(M, 3): row, first column and end of what the windows around two places hold, none twice."""
    height, width = grid
    reach = len(halves) // 2
    found = np.empty((3 * len(halves), 3), np.int64)
    count = 0
    for row in range(max(0, own[0] - reach), min(height, own[0] + reach + 1)):
        start, stop = _columns_of_window(row, own, halves, width)
        found[count] = row, start, stop
        count += 1
    if led == own:
        return found[:count]
    for row in range(max(0, led[0] - reach), min(height, led[0] + reach + 1)):
        start, stop = _columns_of_window(row, led, halves, width)
        seen, seen_stop = _columns_of_window(row, own, halves, width)
        for first, end in ((start, min(stop, seen)), (max(start, seen_stop), stop)):
            if first < end:
                found[count] = row, first, end
                count += 1
    return found[:count]


@compiled()
def best_nearby(  # type: ignore[no-untyped-def]
    tokens, query, keys, near, counts, leads, grid, halves, penalty, values, frames, places
):
    """Find the k best of the places that each of ``tokens`` most resembles, if nothing goes wrong.

    These are the 3 x 3 places, as far as they are inside the window, around where the flow leads
    to. Arguments are those of `windowed_neighbours`.
    """
    height, width = grid
    _, fine_query, whole_query = query
    for frame in range(near):
        _, fine_key, whole_key = keys[frame]
        lead_of, count = leads[frame], counts[frame]
        for token in tokens:
            lead = lead_of[token]
            own, led = (token // width, token % width), (lead // width, lead % width)
            for row in range(max(0, led[0] - 1), min(height, led[0] + 2)):
                start, stop = _columns_of_window(row, led, halves, width)
                for column in range(max(start, led[1] - 1), min(stop, led[1] + 2)):
                    place = row * width + column
                    loss = penalty * _distance2(row, column, own, led)
                    if _product(fine_query, token, fine_key, place) - loss <= values[token, -1]:
                        continue
                    similarity = _product(whole_query, token, whole_key, place) - loss
                    _offer(
                        values[token],
                        frames[token],
                        places[token],
                        similarity,
                        frame,
                        place,
                        count,
                    )


@compiled()
def agreed_classes(tokens, frames, places, classes):  # type: ignore[no-untyped-def]
    """(N,) int32: the class that all k places of a token are of; MIXED where there are fewer."""
    agreed = np.full(len(frames), MIXED, np.int32)
    for token in tokens:
        if frames[token, -1] < 0:
            continue
        first = classes[frames[token, 0]][places[token, 0]]
        same = True
        for slot in range(1, frames.shape[1]):
            same &= classes[frames[token, slot]][places[token, slot]] == first
        if same:
            agreed[token] = first
    return agreed


@compiled()
def ends_of_runs(classes, width):  # type: ignore[no-untyped-def]
    """(N,) int32: the column that ends the run of one class, within a row, from each place on."""
    ends = np.empty(len(classes), np.int32)
    for place in range(len(classes) - 1, -1, -1):
        column = place % width
        last = column == width - 1 or classes[place + 1] != classes[place]
        ends[place] = column + 1 if last else ends[place + 1]
    return ends


@compiled()
def mark_rivalled(  # type: ignore[no-untyped-def]
    tokens,
    own_classes,
    query,
    keys,
    classes,
    ends,
    near,
    leads,
    grid,
    halves,
    penalty,
    thresholds,
    rivalled,
):
    """Mark the tokens for which a place of another class than their own reaches their threshold.

    Args:
        own_classes, thresholds: (N,) of the frame's tokens.
        classes: lists of (N,), one per source; ``ends`` says where their runs end.
        rivalled: (N,) bool, updated in place; tokens that are marked already are passed over.

    Other arguments are those of `windowed_neighbours`.
    """
    for frame in range(near):
        key, class_of, end_of, lead_of = keys[frame], classes[frame], ends[frame], leads[frame]
        for token in tokens:
            if not rivalled[token]:
                rivalled[token] = _has_rival(
                    token,
                    lead_of[token],
                    own_classes[token],
                    query,
                    key,
                    class_of,
                    end_of,
                    grid,
                    halves,
                    penalty,
                    thresholds[token],
                )


@compiled()
def _has_rival(  # type: ignore[no-untyped-def]
    token, lead, own_class, query, key, classes, ends, grid, halves, penalty, threshold
):
    """Whether a place of another class, in the windows around a token and its lead, reaches it."""
    coarse_query, fine_query, whole_query = query
    coarse_key, fine_key, whole_key = key
    width = grid[1]
    own, led = (token // width, token % width), (lead // width, lead % width)
    for row, column, stop in _stretches(own, led, halves, grid):
        while column < stop:
            end = min(ends[row * width + column], stop)
            start, column = column, end
            if classes[row * width + start] == own_class:
                continue
            for other in range(start, end):
                place = row * width + other
                least = threshold + penalty * _distance2(row, other, own, led)
                if (
                    _product_of_eight(coarse_query, token, coarse_key, place) >= least
                    and _product(fine_query, token, fine_key, place) >= least
                    and _product(whole_query, token, whole_key, place) >= least
                ):
                    return True
    return False


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
            _offer(values, frames, places, _product(query, token, key, place), frame, place, count)


@compiled()
def windowed_neighbours(  # type: ignore[no-untyped-def]
    tokens,
    query,
    keys,
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
    """Merge the windowed sources into the k best of each of ``tokens``.

    Args:
        query: of the frame, three arrays: (N, 8) and (N, d + 1), whose products bound similarities
            from above, and the features (N, C).
        keys: list of the like, one per source, of which the first ``near`` are windowed;
            ``counts`` says how often each one counts.
        leads: list of (N,), one per source: the place that the flow leads to from each token, its
            own place where it does not move.
        grid: height and width.
        halves: (2 R + 1,) half widths of the window's rows.
        penalty: what a similarity loses for each squared token of distance.
        thresholds: (N,) similarities below it are of no interest.
        values, frames, places: (N, k) the best so far, descending; updated in place.
    """
    for frame in range(near):
        for token in tokens:
            _search_frame(
                token,
                leads[frame][token],
                query,
                keys[frame],
                frame,
                counts[frame],
                grid,
                halves,
                penalty,
                thresholds[token],
                values[token],
                frames[token],
                places[token],
            )


@compiled()
def _search_frame(  # type: ignore[no-untyped-def]
    token,
    lead,
    query,
    key,
    frame,
    count,
    grid,
    halves,
    penalty,
    threshold,
    values,
    frames,
    places,
):
    """Offer to a token the places of a frame in the windows around it and around its lead."""
    coarse_query, fine_query, whole_query = query
    coarse_key, fine_key, whole_key = key
    width = grid[1]
    own, led = (token // width, token % width), (lead // width, lead % width)
    for row, start, stop in _stretches(own, led, halves, grid):
        for column in range(start, stop):
            place = row * width + column
            loss = penalty * _distance2(row, column, own, led)
            least = max(values[-1], threshold) + loss
            if (
                _product_of_eight(coarse_query, token, coarse_key, place) > least
                and _product(fine_query, token, fine_key, place) > least
            ):
                similarity = _product(whole_query, token, whole_key, place) - loss
                _offer(values, frames, places, similarity, frame, place, count)


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
