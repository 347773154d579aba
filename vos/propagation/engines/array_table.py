"""Several arrays of one shape and type, of which compiled loops take one by its number.

They are neither copied nor stacked: the table holds where each lies in memory. Numba's own typed
lists would do, but their methods are compiled anew in every process, which takes over a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from vos.compiled import compiled


class ArrayTable(NamedTuple):
    """What a compiled loop needs to find the arrays; whoever makes it keeps the arrays alive.

    Attributes:
        addresses: (n,) int64 of their first elements.
        shape: of each of them.
        empty: an array without elements, of their type.
    """

    addresses: np.ndarray
    shape: tuple[int, ...]
    empty: np.ndarray


def array_table(arrays: Sequence[np.ndarray]) -> ArrayTable:
    """Make the table of one or more arrays.

    Raises:
        ValueError: they differ in shape or type, or are not C-contiguous.
    """
    first = arrays[0]
    for array in arrays:
        if array.shape != first.shape or array.dtype != first.dtype:
            raise ValueError(
                f"arrays of a table must be alike: {first.shape} {first.dtype} and "
                f"{array.shape} {array.dtype}"
            )
        if not array.flags.c_contiguous:
            raise ValueError("arrays of a table must be C-contiguous")
    addresses = np.array([array.ctypes.data for array in arrays], np.int64)
    return ArrayTable(addresses, first.shape, np.empty(0, first.dtype))


@intrinsic
def _pointer(_: Any, address: Any) -> Any:
    """Take a number for what it is: a place in memory."""

    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@compiled()
def array_at(table, number):  # type: ignore[no-untyped-def]
    """Return array ``number`` of an `ArrayTable`: the memory itself, not a copy."""
    return numba.carray(_pointer(table.addresses[number]), table.shape, table.empty.dtype)
