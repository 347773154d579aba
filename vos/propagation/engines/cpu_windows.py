"""Compiled loops of the CPU engine that look for neighbours in windows.

They ask about the windows around a token and around the place that the flow leads to from it:
which of a few places nearby resemble the token most (`best_nearby`), whether any place of another
class resembles it as much as these (`mark_rivalled`), and which places of all do most
(`windowed_neighbours`).

``windows`` is the same in all three, a tuple of

- query: of the frame, three arrays: (N, COARSE) and (N, FINE), whose products bound similarities
  from above, and the features (N, C);
- keys: the like of the sources, three `ArrayTable`;
- near: how many of the sources, the first ones, are windowed;
- counts: how often each source counts;
- leads: `ArrayTable` of (N,), one per source: the place that the flow leads to from each token, its
  own place where it does not move;
- grid: height and width;
- halves: (2 R + 1,) half widths of the window's rows;
- penalty: what a similarity loses for each squared token of distance.

Tokens are sorted by tile. All arrays are C-contiguous, features are float32 rows of length one.
"""

from __future__ import annotations

import numpy as np

from vos.compiled import compiled
from vos.propagation.engines.array_table import array_at
from vos.propagation.engines.bounds import COARSE
from vos.propagation.engines.cpu_kernels import offer, product

TILE = 8  # tokens a side
NONE = np.float32(-2)  # less than any similarity; fast mathematics knows no infinity


@compiled()
def best_nearby(tokens, windows, values, frames, places):  # type: ignore[no-untyped-def]
    """Find the k best of the places that each of ``tokens`` most resembles, if nothing goes wrong.

    These are the 3 x 3 places around where the flow leads to, as far as they are in the window.

    Args:
        values, frames, places: (N, k) the best so far, descending; updated in place.
    """
    query, keys, near, counts, leads, grid, halves, penalty = windows
    _, fine_query, whole_query = query
    height, width = grid
    for frame in range(near):
        fine_key, whole_key = array_at(keys[1], frame), array_at(keys[2], frame)
        lead_of, count = array_at(leads, frame), counts[frame]
        for token in tokens:
            own, led = _place(token, width), _place(lead_of[token], width)
            best = values[token]
            for row in range(max(0, led[0] - 1), min(height, led[0] + 2)):
                start, stop = _columns_of_window(row, led, halves, width)
                for column in range(max(start, led[1] - 1), min(stop, led[1] + 2)):
                    place = row * width + column
                    loss = penalty * _distance2(row, column, own, led)
                    if product(fine_query, token, fine_key, place) - loss <= best[-1]:
                        continue
                    similarity = product(whole_query, token, whole_key, place) - loss
                    offer(best, frames[token], places[token], similarity, frame, place, count)


@compiled()
def mark_rivalled(tokens, windows, runs, thresholds, rivalled):  # type: ignore[no-untyped-def]
    """Mark those of ``tokens``, all of one class, that a place of another class may win.

    Tokens of one tile have nearly the same windows, so the places of other classes are gathered
    once per tile. Then the bounds of a token are one loop over neighbouring numbers, which
    processors take eight at a time.

    Args:
        runs: where other classes are, as `runs_of_others` says it: the runs of all sources, one
            source after the other, and (near, rows + 1) which of them is the first one of each row.
        thresholds: (N,) of the frame's tokens: similarities that win them.
        rivalled: (N,) bool, updated in place.
    """
    query, keys, near, _, leads, grid, halves, penalty = windows
    width = grid[1]
    gathered = _room(grid)
    for frame in range(near):
        key = array_at(keys[0], frame), array_at(keys[1], frame), array_at(keys[2], frame)
        lead_of, runs_here = array_at(leads, frame), (runs[0], runs[1][frame])
        start = 0
        while start < len(tokens):
            tile = _tile_at(start, tokens, width)
            start += len(tile)
            count = _gather(tile, lead_of, key[0], runs_here, grid, halves, gathered)
            for token in tile:
                if rivalled[token]:
                    continue
                least = thresholds[token]
                own, led = _place(token, width), _place(lead_of[token], width)
                largest = _bound(query[0], token, gathered, count, own, led, penalty)
                rivalled[token] = largest >= least and _reached(
                    least, token, query, key, gathered, count, own, led, width, halves, penalty
                )


@compiled()
def _reached(  # type: ignore[no-untyped-def]
    threshold, token, query, key, gathered, count, own, led, width, halves, penalty
):
    """Whether a gathered place in the windows is as similar to a token as this threshold."""
    _, rows, columns, bounds = gathered
    for i in range(count):
        if bounds[i] < threshold:
            continue
        row, column = int(rows[i]), int(columns[i])
        if not (_in_window(row, column, own, halves) or _in_window(row, column, led, halves)):
            continue
        place = row * width + column
        least = threshold + penalty * _distance2(row, column, own, led)
        if (
            product(query[1], token, key[1], place) >= least
            and product(query[2], token, key[2], place) >= least
        ):
            return True
    return False


@compiled()
def windowed_neighbours(tokens, windows, thresholds, values, frames, places):  # type: ignore[no-untyped-def]
    """Merge the windowed sources into the k best of each of ``tokens``.

    Args:
        thresholds: (N,) similarities below it are of no interest.
        values, frames, places: (N, k) the best so far, descending; updated in place.
    """
    query, keys, near, counts, leads, grid, halves, penalty = windows
    coarse_query, fine_query, whole_query = query
    width = grid[1]
    for frame in range(near):
        coarse_key, fine_key = array_at(keys[0], frame), array_at(keys[1], frame)
        whole_key = array_at(keys[2], frame)
        lead_of, count = array_at(leads, frame), counts[frame]
        for token in tokens:
            own, led = _place(token, width), _place(lead_of[token], width)
            best = values[token]
            for row, start, stop in _stretches(own, led, halves, grid):
                for column in range(start, stop):
                    place = row * width + column
                    loss = penalty * _distance2(row, column, own, led)
                    least = max(best[-1], thresholds[token]) + loss
                    if (
                        _product_of_eight(coarse_query, token, coarse_key, place) > least
                        and product(fine_query, token, fine_key, place) > least
                    ):
                        similarity = product(whole_query, token, whole_key, place) - loss
                        offer(best, frames[token], places[token], similarity, frame, place, count)


@compiled()
def runs_of_others(classes, own_class, width):  # type: ignore[no-untyped-def]
    """Find where a frame has another class than ``own_class``.

    Returns:
        (M, 2) int32, first column and end of each run of such places within a row, and (rows + 1,)
        int32, which of the runs is the first one of each row.
    """
    rows = len(classes) // width
    runs = np.empty((len(classes), 2), np.int32)
    firsts = np.zeros(rows + 1, np.int32)
    count = 0
    for row in range(rows):
        inside = False
        for column in range(width):
            other = classes[row * width + column] != own_class
            if other and not inside:
                runs[count, 0] = column
                count += 1
            if other:
                runs[count - 1, 1] = column + 1
            inside = other
        firsts[row + 1] = count
    return runs[:count].copy(), firsts


@compiled()
def _place(token, width):  # type: ignore[no-untyped-def]
    """Return the row and the column of a token."""
    return token // width, token % width


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


@compiled(fastmath=True)
def _product_of_eight(query, t, key, p):  # type: ignore[no-untyped-def]
    """Compute `product` of rows of eight numbers, without a loop."""
    left = query[t, 0] * key[p, 0] + query[t, 1] * key[p, 1] + query[t, 2] * key[p, 2]
    right = query[t, 3] * key[p, 3] + query[t, 4] * key[p, 4] + query[t, 5] * key[p, 5]
    return left + right + query[t, 6] * key[p, 6] + query[t, 7] * key[p, 7]


@compiled()
def _in_window(row, column, centre, halves):  # type: ignore[no-untyped-def]
    reach = len(halves) // 2
    dy = row - centre[0]
    return abs(dy) <= reach and abs(column - centre[1]) <= halves[reach + dy]


@compiled()
def _tile_at(start, tokens, width):  # type: ignore[no-untyped-def]
    """The tokens from ``start`` on that are in one tile."""
    row, column = _place(tokens[start], width)
    stop = start + 1
    while stop < len(tokens):
        next_row, next_column = _place(tokens[stop], width)
        if next_row // TILE != row // TILE or next_column // TILE != column // TILE:
            break
        stop += 1
    return tokens[start:stop]


@compiled()
def _room(grid):  # type: ignore[no-untyped-def]
    """Room for gathered places: coarse numbers, rows, columns, and bounds of one token."""
    places = grid[0] * grid[1]
    return (
        np.empty((COARSE, places), np.float32),
        np.empty(places, np.float32),
        np.empty(places, np.float32),
        np.empty(places, np.float32),
    )


@compiled()
def _gather(tile, leads, key, runs, grid, halves, gathered):  # type: ignore[no-untyped-def]
    """Write to ``gathered`` the places of ``runs`` that any window of a tile may hold; count them.

    They are those within two rectangles, which hold the windows of all tokens and of all leads.
    """
    coarse, rows, columns, _ = gathered
    starts, firsts = runs
    height, width = grid
    own, led = _rectangle(tile, width, halves), _rectangle(leads[tile], width, halves)
    count = 0
    for row in range(max(0, min(own[0], led[0])), min(height, max(own[1], led[1]))):
        start, stop = (own[2], own[3]) if own[0] <= row < own[1] else (0, 0)
        led_start, led_stop = (led[2], led[3]) if led[0] <= row < led[1] else (0, 0)
        for run in range(firsts[row], firsts[row + 1]):
            for first, end in (
                (start, stop),
                (led_start, min(led_stop, start)),
                (max(led_start, stop), led_stop),
            ):
                for column in range(max(first, starts[run, 0]), min(end, starts[run, 1])):
                    for number in range(COARSE):
                        coarse[number, count] = key[row * width + column, number]
                    rows[count], columns[count] = row, column
                    count += 1
    return count


@compiled()
def _rectangle(places, width, halves):  # type: ignore[no-untyped-def]
    """Rows (start, stop) and columns (start, stop) that the windows around places lie in."""
    top = left = 2**30
    bottom = right = 0
    for place in places:
        row, column = _place(place, width)
        top, bottom = min(top, row), max(bottom, row)
        left, right = min(left, column), max(right, column)
    down, across = len(halves) // 2, halves.max()
    return top - down, bottom + down + 1, left - across, right + across + 1


@compiled(fastmath=True)
def _bound(query, token, gathered, count, own, led, penalty):  # type: ignore[no-untyped-def]
    """Bound a token's similarities with gathered places from above; return the largest bound.

    It is written without a loop over the COARSE numbers, so that the one over places is vectorised.
    """
    coarse, rows, columns, bounds = gathered
    q0, q1, q2, q3 = query[token, 0], query[token, 1], query[token, 2], query[token, 3]
    q4, q5, q6, q7 = query[token, 4], query[token, 5], query[token, 6], query[token, 7]
    k0, k1, k2, k3 = coarse[0], coarse[1], coarse[2], coarse[3]
    k4, k5, k6, k7 = coarse[4], coarse[5], coarse[6], coarse[7]
    own_row, own_column = np.float32(own[0]), np.float32(own[1])
    led_row, led_column = np.float32(led[0]), np.float32(led[1])
    for i in range(count):
        down, across = rows[i] - own_row, columns[i] - own_column
        from_own = down * down + across * across
        down, across = rows[i] - led_row, columns[i] - led_column
        from_lead = down * down + across * across
        nearer = from_own if from_own < from_lead else from_lead
        left = q0 * k0[i] + q1 * k1[i] + q2 * k2[i] + q3 * k3[i]
        right = q4 * k4[i] + q5 * k5[i] + q6 * k6[i] + q7 * k7[i]
        bounds[i] = left + right - penalty * nearer
    largest = NONE
    for i in range(count):
        largest = max(largest, bounds[i])
    return largest
