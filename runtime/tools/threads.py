"""Running a user's blocking code beside the event loop."""

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable


async def in_thread[T](work: Callable[[], T]) -> T:
    """The result of `work`, run in a thread of its own that nobody waits for at exit.

    Not in a pool: code that never returns would take a place in it for ever, and keep the process
    from ending. How many run at once is bounded by the slots of the worker.
    """
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
    return await asyncio.shield(asyncio.wrap_future(future))
