"""Where in a user's own code an error came from."""

import traceback
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from runtime.contract.agent_config import Module

DEPTH = 8  # frames from the innermost: enough for a library that lets another one read a reply


def blame(error: BaseException, module: Module | None) -> str:
    """An error as one line: `math_agent.py:12 ZeroDivisionError: division by zero`.

    Shape:
        module   the user's code: the innermost line of it is named, if the error came through any.
    """
    kind = type(error).__name__
    said = _invalid(error) if isinstance(error, ValidationError) else str(error).strip()
    said = said.partition("\n")[0]
    what = f"{kind}: {said}" if said else kind
    place = None if module is None else place_of(error, module)
    return f"{place} {what}" if place else what


def _invalid(error: ValidationError) -> str:
    """What was wrong with which field, and nothing of the values: a key may be among them."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    told = [".".join(map(str, fault["loc"])) + f": {fault['msg']}" for fault in faults]
    return f"of {error.title}: " + "; ".join(one.removeprefix(": ") for one in told)


def raised_in(error: BaseException, packages: frozenset[str]) -> bool:
    """Whether the error comes out of one of these top-level packages."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(_package(frame) in packages for frame in frames[-DEPTH:])


def place_of(error: BaseException, module: Module) -> str | None:
    """The innermost line of the user's code that an error came through: `math_agent.py:12`."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{_shown(error.filename, module)}:{error.lineno}"
    lines = _users_lines(error, module)
    return f"{_shown(lines[-1][0], module)}:{lines[-1][1]}" if lines else None


def file_of(error: BaseException, module: Module) -> Path | None:
    """The file of that line."""
    lines = _users_lines(error, module)
    return Path(lines[-1][0]) if lines else None


def entrypoint_file(error: BaseException, module: Module) -> Path | None:
    """The file that the entrypoint names, if the error came through it."""
    name = module.entrypoint.partition(":")[0]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") == name:
            return Path(frame.f_code.co_filename)
    return None


def _users_lines(error: BaseException, module: Module) -> list[tuple[str, int]]:
    return [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_the_users(frame, module)
    ]


def _is_the_users(frame: FrameType, module: Module) -> bool:
    if module.path is not None and Path(frame.f_code.co_filename).is_relative_to(module.path):
        return True
    return _package(frame) == module.entrypoint.partition(":")[0].partition(".")[0]


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _shown(name: str, module: Module) -> str:
    path = Path(name)
    if module.path is not None and path.is_relative_to(module.path):
        return str(path.relative_to(module.path))
    return path.name
