"""Fast decoding of the PNG files that masks are almost always kept in.

Masks of one frame compress to a few kilobytes, and unpacking them is most of the work of a
general PNG reader. Files of the plain kind (8 bits, palette or grey, not interlaced, each row
stored as it is or as differences to the left neighbour) unpack here in one call. Everything
else, broken files included, is left to the general reader, which also knows what to say.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from zlib_ng import zlib_ng

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
_AS_IT_IS, _LEFT_DIFFERENCE = 0, 1


def decode_plain_png(data: bytes) -> np.ndarray | None:
    """Stored values of a plain 8-bit grey or palette PNG as (H, W) uint8, writable.

    Returns:
        The values (indices, for a palette), or None if the file is of another kind or broken.
    """
    if data[:8] != _SIGNATURE:
        return None
    header, packed, position = b"", [], 8
    while True:
        if position + 12 > len(data):
            return None
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            header = content
        elif kind == b"IDAT":
            packed.append(content)
        elif kind == b"IEND":
            return _unpack(header, b"".join(packed))
        position += 12 + length


def _unpack(header: bytes, packed: bytes) -> np.ndarray | None:
    if len(header) != 13:
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in (_GREY, _PALETTE) or interlaced:
        return None
    size = height * (width + 1)
    try:
        rows = np.frombuffer(zlib_ng.decompress(packed, bufsize=size), np.uint8)
    except zlib_ng.error:  # type: ignore[misc]
        return None
    if rows.size != size or size == 0:
        return None
    rows = rows.reshape(height, width + 1)
    filters, values = rows[:, 0], rows[:, 1:]
    if (filters == _AS_IT_IS).all():
        return values.copy()
    if (filters == _LEFT_DIFFERENCE).all():
        return _sum_from_the_left(values)
    return None


def _sum_from_the_left(differences: np.ndarray) -> np.ndarray:
    """Running sums, modulo 256, along the rows of an (H, W) uint8 array that is mostly zero."""
    changes = differences != 0
    changes[:, 0] = True
    where = np.flatnonzero(changes)
    sums = np.cumsum(differences[changes], dtype=np.uint8)
    # Each row starts anew: take off what had been summed up before it.
    runs_in_row = np.count_nonzero(changes, axis=1)
    first_run = np.cumsum(runs_in_row) - runs_in_row
    sums -= np.repeat(sums[first_run] - differences[:, 0], runs_in_row)
    return np.repeat(sums, np.diff(where, append=changes.size)).reshape(differences.shape)


def grey_depth(path: Path) -> int | None:
    """Return the bits of a value of a grey PNG, or None for another file."""
    with path.open("rb") as file:
        start = file.read(26)
    if len(start) < 26 or start[:8] != _SIGNATURE or start[25] != _GREY:
        return None
    return start[24]
