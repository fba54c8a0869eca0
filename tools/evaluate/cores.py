"""The same work on many streets, on as many cores as are given.

Knows:  a function of a street that opens its own detectors; its tasks.
Never:  a result that depends on how many cores there were.
Leaves: results in the order of the tasks.
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(work: Callable[[Task], Result], tasks: Sequence[Task], cores: int) -> Iterator[Result]:
    """Yield ``work(task)`` of each task, in their order."""
    if cores == 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks)
