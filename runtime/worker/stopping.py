"""Whether a task was told to stop, as against what it waits for."""

import asyncio


def is_stopping() -> bool:
    """Whether the current task itself was cancelled.

    A `CancelledError` alone does not say so: code that is called may raise one of its own, or take
    ours for the end of something else.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
