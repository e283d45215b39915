"""Running a user's blocking code beside the event loop."""

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from typing import Any

MOST_ABANDONED = 8


class Abandoned(Exception):
    """Too much code goes on that nobody waits for any more; nothing was begun."""


class Threads:
    """Threads of which only so many may go on after whoever waited for them has left.

    Nothing can end a thread from outside. A call that runs out of time frees its slot in the
    worker, but not its thread.
    """

    def __init__(self, most_abandoned: int = MOST_ABANDONED) -> None:
        self._most = most_abandoned
        self._abandoned: set[concurrent.futures.Future[Any]] = set()

    def why_not(self) -> str | None:
        """Why no further thread is begun, in one sentence."""
        if (count := len(self._abandoned)) < self._most:
            return None
        return (
            f"{count} calls that were broken off are still running in this worker, and it begins "
            "no other before one of them ends; restart it, and let the function give up by itself"
        )

    async def run[T](self, work: Callable[[], T]) -> T:
        """The result of `work`, as of `in_thread`.

        Raises:
            Abandoned: `why_not` says why.
        """
        if (problem := self.why_not()) is not None:
            raise Abandoned(problem)
        future = _started(work)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            self._abandoned.add(future)
            future.add_done_callback(self._abandoned.discard)
            raise


async def in_thread[T](work: Callable[[], T]) -> T:
    """The result of `work`, run in a thread of its own that nobody waits for at exit.

    Not in a pool: code that never returns would take a place in it for ever, and keep the process
    from ending.
    """
    return await asyncio.shield(asyncio.wrap_future(_started(work)))


def _started[T](work: Callable[[], T]) -> concurrent.futures.Future[T]:
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    context = contextvars.copy_context()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            value = context.run(work)
        except StopIteration as error:  # a future cannot carry it
            future.set_exception(RuntimeError(f"StopIteration: {error.value}"))
        except Exception as error:  # noqa: BLE001  # it belongs to whoever waits
            future.set_exception(error)
        except BaseException as error:  # noqa: BLE001  # a user's `sys.exit()` ends the call alone
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
        else:
            future.set_result(value)

    threading.Thread(target=run, name="user code", daemon=True).start()
    return future
