"""Blocking work beside the event loop, never left behind.

Knows:  one blocking call.
Never:  what it does.
Leaves: its result, or its failure, and its end; where a device may never answer, the news that it did not.
Clauses: 5.2(1) (no thread goes on holding a picture after its task was cancelled).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Args = ParamSpec("Args")
Result = TypeVar("Result")


async def in_thread(work: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
    """Run blocking ``work`` off the loop, and never leave it behind: a cancelled caller waits until it has ended."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue  # cancelled once more; the thread still holds a slot or the file
        if not task.cancelled():
            task.exception()  # retrieved, so that it is not reported as forgotten
        raise


async def in_thread_within(seconds: float, work: Callable[[], object]) -> bool:
    """Run ``work`` off the loop and return True at its end; False when it has not ended after ``seconds``.

    A cancelled caller still waits, and is cancelled at the end. Raises what ``work`` raised.
    """
    loop = asyncio.get_running_loop()
    task, cancelled, until = asyncio.ensure_future(asyncio.to_thread(work)), False, loop.time() + seconds
    while not task.done() and (left := until - loop.time()) > 0:
        try:
            await asyncio.wait([task], timeout=left)
        except asyncio.CancelledError:
            cancelled = True
    ended = task.done()
    if ended and not cancelled:
        task.result()
    elif ended:
        task.exception()
    if cancelled:
        raise asyncio.CancelledError
    return ended
