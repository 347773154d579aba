"""The fused propagation kernel (`triton.py` says what it is for)."""

# A kernel's parameters carry Triton's own types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

LOWEST = tl.constexpr(-1e30)  # a similarity nobody has


@triton.jit
def propagate(
    query,
    keys,
    labels,
    windowed,
    counts,
    leads,
    halves,
    result,
    sources,
    height,
    width,
    reach_y,
    reach_x,
    channels,
    classes,
    penalty,
    temperature,
    NEIGHBOURS: tl.constexpr,
    SLOTS: tl.constexpr,
    SIDE: tl.constexpr,
    PLACES: tl.constexpr,
    CHANNELS: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """Soft labels of one tile of SIDE x SIDE tokens.

    Args:
        query: (N, C) features of the frame.
        keys, labels: (S,) addresses of (N, C) features, of the query's type, and of (N, K + 1)
            float32 soft labels.
        windowed, counts: (S,) int32; whether a source is seen through the window, and how often
            it counts.
        leads: (S,) addresses of (N,) int32: the place that the flow leads to from each token, its
            own place where it does not move.
        halves: (2 reach_y + 1,) int32 half widths of the window's rows; ``reach_x`` the largest.
        result: (N, K + 1) float32.
        SLOTS: the power of two from NEIGHBOURS on.
        PLACES: places of a source that are looked at at once.
        CHANNELS: channels that are multiplied at once.
        CLASSES: the power of two from ``classes`` = K + 1 on.
    """
    tiles_across = tl.cdiv(width, SIDE)
    tile_top = tl.program_id(0) // tiles_across * SIDE
    tile_left = tl.program_id(0) % tiles_across * SIDE
    inside_tile = tl.arange(0, SIDE * SIDE)
    y, x = tile_top + inside_tile // SIDE, tile_left + inside_tile % SIDE
    real = (y < height) & (x < width)
    token = tl.where(real, y * width + x, 0)

    slot = tl.arange(0, SLOTS)
    # Slots beyond the k that are asked for hold what nothing can replace.
    spare = (slot >= NEIGHBOURS)[None, :] & (token >= 0)[:, None]
    best = tl.where(spare, -LOWEST, LOWEST)
    best_source = tl.full((SIDE * SIDE, SLOTS), -1, tl.int32)
    best_place = tl.zeros((SIDE * SIDE, SLOTS), tl.int32)

    for source in range(sources):
        key = tl.load(keys + source).to(tl.pointer_type(query.dtype.element_ty))
        near = tl.load(windowed + source)
        count = tl.minimum(tl.load(counts + source), NEIGHBOURS)
        lead_address = tl.load(leads + source).to(tl.pointer_type(tl.int32))
        lead = tl.load(lead_address + token, real, 0)
        lead_y, lead_x = lead // width, lead % width
        moved = tl.max((real & (lead != token)).to(tl.int32))
        # First the windows around the tokens' own places, then what those around the leads add.
        for led in range(1 + moved):
            here_y, here_x = tl.where(led > 0, lead_y, y), tl.where(led > 0, lead_x, x)
            first_y = tl.min(tl.where(real, here_y, height)) - reach_y
            first_x = tl.min(tl.where(real, here_x, width)) - reach_x
            last_y = tl.max(tl.where(real, here_y, 0)) + reach_y
            last_x = tl.max(tl.where(real, here_x, 0)) + reach_x
            top = tl.where(near > 0, tl.maximum(first_y, 0), 0)
            left = tl.where(near > 0, tl.maximum(first_x, 0), 0)
            bottom = tl.where(near > 0, tl.minimum(last_y + 1, height), height)
            right = tl.where(near > 0, tl.minimum(last_x + 1, width), width)
            across = right - left
            for first in range(0, (bottom - top) * across, PLACES):
                number = first + tl.arange(0, PLACES)
                key_y, key_x = top + number // across, left + number % across
                place = tl.where(key_y < bottom, key_y * width + key_x, 0)
                similarity = tl.zeros((SIDE * SIDE, PLACES), tl.float32)
                for start in range(0, channels, CHANNELS):
                    channel = start + tl.arange(0, CHANNELS)
                    known = (channel < channels)[None, :]
                    q = tl.load(query + token[:, None] * channels + channel[None, :], known, 0.0)
                    k = tl.load(key + place[:, None] * channels + channel[None, :], known, 0.0)
                    similarity += tl.dot(q, tl.trans(k), input_precision="ieee")

                dy, dx = key_y[None, :] - y[:, None], key_x[None, :] - x[:, None]
                led_dy = key_y[None, :] - lead_y[:, None]
                led_dx = key_x[None, :] - lead_x[:, None]
                there = (key_y < bottom)[None, :] & real[:, None]
                in_rows = (dy >= -reach_y) & (dy <= reach_y)
                half = tl.load(halves + dy + reach_y, in_rows & there, -1)
                in_own = in_rows & (tl.abs(dx) <= half)
                in_rows = (led_dy >= -reach_y) & (led_dy <= reach_y)
                half = tl.load(halves + led_dy + reach_y, in_rows & there, -1)
                in_led = in_rows & (tl.abs(led_dx) <= half)
                added = tl.where(led > 0, in_led & (in_own == 0), in_own)
                seen = there & ((near == 0) | added)
                distance2 = tl.minimum(dy * dy + dx * dx, led_dy * led_dy + led_dx * led_dx)
                similarity -= tl.where(near > 0, penalty, 0.0) * distance2.to(tl.float32)
                similarity = tl.where(seen, similarity, LOWEST)

                # Take the best of these, one per token and turn, while any beats the k-th best.
                largest = tl.max(similarity, axis=1)
                while tl.max((largest > tl.min(best, axis=1)).to(tl.int32)) > 0:
                    column = tl.argmax(similarity, axis=1)
                    taken = tl.arange(0, PLACES)[None, :] == column[:, None]
                    found = tl.sum(tl.where(taken, place[None, :], 0), axis=1)
                    for _ in range(count):
                        beats = largest > tl.min(best, axis=1)
                        last = slot[None, :] == tl.argmin(best, axis=1)[:, None]
                        replace = beats[:, None] & last
                        best = tl.where(replace, largest[:, None], best)
                        best_source = tl.where(replace, source, best_source)
                        best_place = tl.where(replace, found[:, None], best_place)
                    similarity = tl.where(taken, LOWEST, similarity)
                    largest = tl.max(similarity, axis=1)

    chosen = best_source >= 0
    strongest = tl.max(tl.where(chosen, best, LOWEST), axis=1)
    weights = tl.where(chosen, tl.exp((best - strongest[:, None]) / temperature), 0.0)
    weights /= tl.sum(weights, axis=1)[:, None]
    label = tl.arange(0, CLASSES)
    total = tl.zeros((SIDE * SIDE, CLASSES), tl.float32)
    for number in range(NEIGHBOURS):
        this = slot[None, :] == number
        weight = tl.sum(tl.where(this, weights, 0.0), axis=1)
        voter = tl.sum(tl.where(this, best_source, 0), axis=1)
        voter_place = tl.sum(tl.where(this, best_place, 0), axis=1)
        voted = voter >= 0
        address = tl.load(labels + tl.where(voted, voter, 0)).to(tl.pointer_type(tl.float32))
        offset = voter_place[:, None] * classes + label[None, :]
        mask = voted[:, None] & (label < classes)[None, :]
        total += weight[:, None] * tl.load(address[:, None] + offset, mask, 0.0)
    written = real[:, None] & (label < classes)[None, :]
    tl.store(result + token[:, None] * classes + label[None, :], total, written)
