"""Pieces of a run, done once in all its attempts.

What belongs to no run, or cannot wait for what is kept as it blocks an event loop, is done as if
nothing were.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from runtime.adapters.recorded import Outcome, Piece, Recorded, Work
from runtime.adapters.scope import Scope, current, in_the_loop, is_in_a_loop, wait


def once(piece: Piece, do: Callable[[], Any]) -> Any:
    """What `do` gives or has given before, for a thread; what it gives may be still to await.

    Raises:
        Exception: whatever `do` raises or has raised.
    """
    scope, recorded = _run()
    if scope is None or recorded is None or is_in_a_loop():
        return do()
    work = wait(scope, recorded.begin(piece))
    if work.outcome is not None:
        return _given(piece, work.outcome)
    try:
        with work.doing():
            result = do()
    except Exception as error:
        if not _is_over(scope):
            wait(scope, work.fail(error))
        raise
    if inspect.iscoroutine(result):
        return _awaited(scope, work, result)
    wait(scope, work.end(result))
    return result


async def once_awaited(piece: Piece, do: Callable[[], Awaitable[Any]]) -> Any:
    """What `do` gives or has given before, in whatever event loop.

    Raises:
        Exception: whatever `do` raises or has raised.
    """
    scope, recorded = _run()
    if scope is None or recorded is None:
        return await do()
    work = await in_the_loop(scope, recorded.begin(piece))
    if work.outcome is not None:
        return _given(piece, work.outcome)
    return await _awaited(scope, work, do())


async def _awaited(scope: Scope, work: Work, doing: Awaitable[Any]) -> Any:
    try:
        with work.doing():
            result = await doing
    except Exception as error:
        if not _is_over(scope):
            await in_the_loop(scope, work.fail(error))
        raise
    await in_the_loop(scope, work.end(result))
    return result


def _run() -> tuple[Scope | None, Recorded | None]:
    scope = current()
    return scope, scope.recorded if scope is not None else None


def _given(piece: Piece, outcome: Outcome) -> Any:
    piece.again(outcome.value)
    return outcome.give()


def _is_over(scope: Scope) -> bool:
    """Whether what fails now does so because the run has ended or must."""
    return scope.ended or scope.over is not None
