"""Tables of arrays that compiled loops read by their number."""

import numpy as np
import pytest

from vos.compiled import compiled
from vos.propagation.engines.array_table import array_at, array_table


@compiled()
def sums(table, numbers):  # type: ignore[no-untyped-def]
    totals = np.zeros(len(numbers))
    for place, number in enumerate(numbers):
        totals[place] = array_at(table, number).sum()
    return totals


@compiled()
def double(table, number):  # type: ignore[no-untyped-def]
    array = array_at(table, number)
    array *= 2


@pytest.mark.parametrize("shape", [(7,), (5, 3), (4, 3, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_each_array_is_found_by_its_number(dtype, shape):
    arrays = [np.full(shape, n, dtype) + np.arange(shape[-1], dtype=dtype) for n in range(4)]
    found = sums(array_table(arrays), np.array([3, 0, 2, 2]))
    np.testing.assert_array_equal(found, [arrays[n].sum() for n in (3, 0, 2, 2)])


def test_the_memory_is_shared_and_not_copied():
    arrays = [np.ones(3, np.float32), np.ones(3, np.float32)]
    double(array_table(arrays), 1)
    assert arrays[0].tolist() == [1, 1, 1]
    assert arrays[1].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "other",
    [np.ones((3, 2), np.float32), np.ones((2, 3), np.float64), np.ones((3, 2), np.float32).T],
)
def test_arrays_that_differ_or_have_gaps_are_refused(other):
    with pytest.raises(ValueError, match="arrays of a table must be"):
        array_table([np.ones((2, 3), np.float32), other])
