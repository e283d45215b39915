"""A copy of an agent that one run may use as it likes.

Not `clone()`: that of a `ReActAgent` keeps the memory, that of a class of the user's own makes the
class above it, and remote agents have none.
"""

import copy
from collections.abc import Callable
from typing import Any, cast

from beeai_framework.agents.react.types import ReActAgentInput
from beeai_framework.agents.requirement.requirements import Requirement
from beeai_framework.emitter import Emitter
from beeai_framework.memory import BaseMemory
from beeai_framework.runnable import Runnable
from beeai_framework.tools.handoff import HandoffTool

# What a run leaves something in. Models are among the runnables: an agent reads the pieces of its
# final answer off the emitter of its model, which would otherwise tell it those of other runs too.
OWN = (Runnable, BaseMemory, Requirement, HandoffTool, Emitter, ReActAgentInput)


def copied[T](thing: T, each: Callable[[Any], None] = lambda _: None) -> T:
    """A copy that shares with `thing` all that a run does not change, as tools and clients.

    `each` is told of each object in it that is a copy.
    """
    made: dict[int, Any] = {}
    copy_of_it = cast("T", _copied(thing, made))
    for twin in made.values():
        each(twin)
    return copy_of_it


def _copied(thing: Any, made: dict[int, Any]) -> Any:
    if id(thing) in made:
        return made[id(thing)]
    if isinstance(thing, OWN):
        made[id(thing)] = twin = copy.copy(thing)
        for name, part in list(vars(twin).items()):
            twin.__dict__[name] = _copied(part, made)
        return twin
    if type(thing) in {list, tuple, set}:
        return type(thing)(_copied(part, made) for part in thing)
    if type(thing) is dict:
        return {key: _copied(part, made) for key, part in thing.items()}
    return thing


def forget() -> None:
    """Let what has ended be collected.

    Each emitter leaves in the root of all emitters how to cut it off, for a `destroy()` of the
    root that never comes, and takes the whole run with it: 0.1.85 makes some in each turn.
    """
    Emitter.root()._cleanups.clear()  # noqa: SLF001 - there is no other way to it
