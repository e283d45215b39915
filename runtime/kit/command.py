"""`python -m runtime check`: the kit on the command line.

    python -m runtime check math_agent:graph --framework LangGraph --stand-in http://…:8000/v1

Progress goes to standard error, the table to standard output; where both go to the same terminal,
pipe or file, it is spared what it holds already. Exits with 0 when nothing failed, 1 when something
did, 2 when there is nothing to check it on.
"""

import argparse
import contextlib
import functools
import logging
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

import uvloop

from runtime.adapters.port import BadAgent
from runtime.contract.agent_config import Framework, Module, Origin
from runtime.contract.check_arguments import add_check_arguments
from runtime.kit.check import Subject, check
from runtime.kit.logged import Logged
from runtime.kit.proxy import Endpoint, ModelProxy
from runtime.kit.report import Report, Result, described

BAD_INPUT = 2
STDOUT, STDERR = 1, 2  # file descriptors
STAND_IN = "stand-in"


class BadInput(Exception):
    """An argument makes no sense; the message names it."""


def main(arguments: Sequence[str]) -> int:
    """Check one agent; gives the exit code."""
    given = parser().parse_args(arguments)
    logged = Logged()
    logging.basicConfig(handlers=[logged], force=True)
    try:
        proxy, subject = proxy_of(given), subject_of(given)
        model = given.model or proxy.model.model or ""
        with contextlib.redirect_stdout(sys.stderr):  # what an agent prints is no part of a report
            report = uvloop.run(_checked(subject, proxy, model, logged))
    except (BadInput, BadAgent) as error:
        sys.stderr.write("\n".join([*logged.taken(), f"error: {error}", ""]))
        return BAD_INPUT
    is_shown = os.path.sameopenfile(STDOUT, STDERR)
    sys.stdout.write(f"{report.table(whole=not is_shown)}\n")
    if given.report is not None:
        given.report.write_bytes(report.encode())
    return 1 if report.failed else 0


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    top = argparse.ArgumentParser(
        prog="python -m runtime check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_check_arguments(top)
    top.add_argument("--stand-in", metavar="URL", help="the stand-in model, which fails at will")
    top.add_argument(
        "--stand-in-model", metavar="NAME", default=STAND_IN, help="its name there (%(default)s)"
    )
    return top


def subject_of(given: argparse.Namespace) -> Subject:
    """The agent to check.

    Raises:
        BadInput: the folder of its module is none.
    """
    framework = Framework(given.framework)
    if given.entrypoint is None:
        return Subject(framework=framework)
    if not given.path.is_dir():
        raise BadInput(f"--path {given.path} is no folder")
    folder = str(given.path.resolve())
    module = Module(entrypoint=given.entrypoint, path=folder, origin=Origin.FOLDER)
    return Subject(framework=framework, module=module)


def proxy_of(given: argparse.Namespace) -> ModelProxy:
    """What stands between the agent and the models given.

    Raises:
        BadInput: there is none, or its address or name makes no sense.
    """
    stand_in = None
    if given.stand_in is not None:
        stand_in = Endpoint(_url("--stand-in", given.stand_in), given.stand_in_model)
    if given.model_base_url is None:
        if stand_in is None:
            raise BadInput("--model-base-url is missing: the agent needs a model to ask")
        if given.model is not None:
            raise BadInput("--model names a model of --model-base-url, which is missing")
        return ModelProxy(stand_in, stand_in)
    if given.model is None:
        raise BadInput("--model is missing: which model of --model-base-url is the agent to ask")
    return ModelProxy(Endpoint(_url("--model-base-url", given.model_base_url)), stand_in)


def _url(field: str, given: str) -> str:
    url = urlsplit(given)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise BadInput(f"{field} {given} is no address; give one like http://127.0.0.1:8000/v1")
    return given.rstrip("/")


async def _checked(subject: Subject, proxy: ModelProxy, model: str, logged: Logged) -> Report:
    async with proxy.serving():
        _point_at(proxy.url)
        return await check(subject, proxy, model, functools.partial(_tell, logged))


def _point_at(url: str) -> None:
    """Let the usual clients of a user's own code find the proxy, whatever the shell says."""
    os.environ["OPENAI_BASE_URL"] = url
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    os.environ["LLAMA_STACK_CLIENT_BASE_URL"] = url.removesuffix("/v1")


def _tell(logged: Logged, result: Result) -> None:
    sys.stderr.write("\n".join([*described(result, logged.taken()), ""]))
    sys.stderr.flush()
