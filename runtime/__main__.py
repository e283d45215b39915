"""The one entry point of every process of the runtime; the command line names its object.

    python -m runtime worker agent/<namespace>/<name>
    python -m runtime worker tool/<namespace>/<name>
    python -m runtime dispatch stack/<namespace>/<name>
    python -m runtime serve stack/<namespace>/<name>
    python -m runtime trust
    python -m runtime check [<module>:<name>] --framework <framework> …

The object on the command line is for people who read `ps`; what to do stands in the configuration
at K8GENTAI_CONFIG; `check` alone is a person's, and takes options. Imports are lazy, since each
image has only what its processes need.
"""

import os
import signal


def _stop_before_it_starts(_number: int, _frame: object) -> None:
    os._exit(0)  # nothing is held yet; later on the event loop has the signal


# The first process of a container ignores a signal that it does not handle, and would be waited for
# in vain until its grace is over; so this comes before the imports, which take a while.
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop_before_it_starts)

import logging
import sys
from collections.abc import Coroutine

import uvloop

from runtime.garbage import look_seldom
from runtime.processes.process import BAD_CONFIGURATION, TRY_AGAIN, CannotStart, last_words
from runtime.settings import Settings
from runtime.telemetry import log_as_json

log = logging.getLogger("runtime")


def main(arguments: list[str]) -> int:
    """Run one process; gives its exit code."""
    if arguments[:1] == ["check"]:
        from runtime.kit.command import main as check  # noqa: PLC0415 - as below

        return check(arguments[1:])
    signal.signal(signal.SIGTERM, _stop_before_it_starts)  # for who calls this from elsewhere
    log_as_json()
    look_seldom()
    try:
        settings = Settings.of()
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_CONFIGURATION
    if arguments[:1] == ["serve"]:
        return _serve(settings)
    try:
        uvloop.run(_process(arguments, settings))
    except CannotStart as error:
        return _cannot_start(settings, str(error))
    return 0


def _serve(settings: Settings) -> int:
    # uvicorn has signals and an event loop of its own.
    from runtime.amf.serve import serve  # noqa: PLC0415 - as below
    from runtime.amf.start import CannotServe, DatabaseSilent  # noqa: PLC0415 - as below

    try:
        serve(settings)
    except DatabaseSilent as error:
        return _cannot_start(settings, str(error), TRY_AGAIN)
    except CannotServe as error:
        return _cannot_start(settings, str(error))
    return 0


def _cannot_start(settings: Settings, sentence: str, code: int = BAD_CONFIGURATION) -> int:
    log.error("cannot start: %s", sentence)
    last_words(settings, sentence)
    return code


def _process(arguments: list[str], settings: Settings) -> Coroutine[object, object, None]:
    # Each image has only what its own processes need, hence the imports inside.
    match arguments:
        case ["worker", named] if named.startswith("agent/"):
            from runtime.processes.agent import run_agent  # noqa: PLC0415

            return run_agent(settings)
        case ["worker", named] if named.startswith("tool/"):
            from runtime.processes.tool import run_tool  # noqa: PLC0415

            return run_tool(settings)
        case ["dispatch", _]:
            from runtime.processes.dispatcher import run_dispatch  # noqa: PLC0415

            return run_dispatch(settings)
        case ["trust"]:
            from runtime.processes.trust import run_trust_plane  # noqa: PLC0415

            return run_trust_plane(settings)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
