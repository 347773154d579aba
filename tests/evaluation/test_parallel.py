"""Work shared among processes comes back as if one had done it."""

from __future__ import annotations

import os
from functools import partial

import pytest

from vos.errors import InvalidResultsError
from vos.evaluation.parallel import WORTH_FORKING, run_jobs

MANY = 2 * WORTH_FORKING


def describe(number: int) -> tuple[int, int]:
    return number, os.getpid()


def refuse(number: int) -> int:
    if number >= MANY // 2:
        raise InvalidResultsError(f"file {number}")
    return number


def test_results_keep_the_order_of_the_jobs() -> None:
    results = list(run_jobs([partial(describe, number) for number in range(MANY)], workers=2))
    assert [number for number, _ in results] == list(range(MANY))


def test_few_jobs_and_one_worker_stay_in_this_process() -> None:
    jobs = [partial(describe, number) for number in range(MANY)]
    for results in (run_jobs(jobs, workers=1), run_jobs(jobs[:10], workers=8)):
        assert {process for _, process in results} == {os.getpid()}


@pytest.mark.parametrize("workers", [1, 2])
def test_first_failure_in_order_is_raised(workers: int) -> None:
    results = run_jobs([partial(refuse, number) for number in range(MANY)], workers)
    with pytest.raises(InvalidResultsError, match=f"file {MANY // 2}$"):
        list(results)


def test_jobs_that_cannot_be_pickled_are_fine() -> None:
    assert list(run_jobs([lambda: 1] * MANY, workers=2)) == [1] * MANY
