"""The `k8gentai` command: a second front door beside the cluster's. It decides nothing.

Each verb imports what it needs when it is run: who approves a call need not wait for the platform.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.contract.check_arguments import add_check_arguments
from runtime.contract.subjects import token
from runtime.contract.value import ObjectName

if TYPE_CHECKING:
    from controller.dead import DeadOptions
    from controller.explain import ExplainOptions
    from controller.local.check import CheckOptions
    from controller.local.decide import Word
    from controller.local.site import ModelEndpoint
    from controller.local.up import Options

LAST_PORT: Final = 65535


def main() -> None:
    """Run the command line; exits with 0, 1 for a no or if it failed, 2 for a wrong command."""
    arguments = parser().parse_args()
    run = {
        "check": _check,
        "dead": _dead,
        "approve": _decide,
        "deny": _decide,
        "explain": _explain,
        "up": _up,
    }
    try:
        run[arguments.verb](arguments)
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def _telling(*problems: type[Exception]) -> Iterator[None]:
    """End with the message of one of these problems: it says all that a user needs to know."""
    try:
        yield
    except problems as error:
        sys.exit(f"error: {error}")


def _up(arguments: argparse.Namespace) -> None:
    from controller.errors import ReconcileError  # noqa: PLC0415 - as the module says
    from controller.local.environments import NoEnvironment  # noqa: PLC0415 - as above
    from controller.local.manifests import BadManifest  # noqa: PLC0415 - as above
    from controller.local.up import Failed, up  # noqa: PLC0415 - as above

    with _telling(BadManifest, Failed, NoEnvironment, ReconcileError):
        asyncio.run(up(options(arguments)))


def _check(arguments: argparse.Namespace) -> None:
    from controller.local.check import CannotCheck, check  # noqa: PLC0415 - as the module says
    from controller.local.environments import NoEnvironment  # noqa: PLC0415 - as above

    with _telling(CannotCheck, NoEnvironment):
        sys.exit(asyncio.run(check(check_options(arguments), say)))


def _dead(arguments: argparse.Namespace) -> None:
    from controller.dead import NoLetter, dead  # noqa: PLC0415 - as the module says
    from controller.errors import ReconcileError  # noqa: PLC0415 - as above

    with _telling(NoLetter, ReconcileError):
        asyncio.run(dead(dead_options(arguments), say, print))


def _decide(arguments: argparse.Namespace) -> None:
    from controller.local.ask import NoAnswer  # noqa: PLC0415 - as the module says
    from controller.local.decide import NotDecided, decide  # noqa: PLC0415 - as above

    with _telling(NoAnswer, NotDecided):
        asyncio.run(decide(word(arguments), show))


def _explain(arguments: argparse.Namespace) -> None:
    from controller.errors import ReconcileError  # noqa: PLC0415 - as the module says
    from controller.explain import NotThere, explain  # noqa: PLC0415 - as above
    from controller.local.manifests import BadManifest  # noqa: PLC0415 - as above

    with _telling(BadManifest, NotThere, ReconcileError):
        sys.exit(0 if asyncio.run(explain(explain_options(arguments), print)) else 1)


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    top = argparse.ArgumentParser(prog="k8gentai", description=(__doc__ or "").partition("\n")[0])
    verbs = top.add_subparsers(dest="verb", required=True)
    _add_up(verbs.add_parser("up", help="run the manifests of a folder on this machine"))
    add_check_arguments(
        verbs.add_parser("check", help="show what an agent of any framework can do")
    )
    _add_dead(verbs.add_parser("dead", help="show work that reached no good end"))
    _add_decide(verbs.add_parser("approve", help="let a call happen that waits for a person"))
    deny = verbs.add_parser("deny", help="refuse a call that waits for a person")
    deny.add_argument("--reason", metavar="WORDS", help="what the agent is told")
    _add_decide(deny)
    _add_explain(verbs.add_parser("explain", help="say whether a user may call an agent, and why"))
    return top


def _add_up(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-f", "--folder", type=Path, required=True, help="folder with manifests")
    verb.add_argument(
        "-p", "--port", type=_port, default=8321, help="port of the first Stack's API (0: any)"
    )
    verb.add_argument(
        "--ask",
        nargs="?",
        const="",
        metavar="QUESTION",
        help="ask the first agent this (or a sum), print the answer, stop everything",
    )
    verb.add_argument(
        "--state", type=Path, help="folder that outlives this run (queue, database, logs)"
    )


def _add_dead(verb: argparse.ArgumentParser) -> None:
    acts = verb.add_subparsers(dest="act", required=True)
    listing = acts.add_parser("list", help="the dead letters of a Stack, newest first")
    listing.add_argument(
        "--limit", type=_count, default=50, metavar="N", help="how many at most (50)"
    )
    showing = acts.add_parser("show", help="one of them, with its message")
    showing.add_argument("letter", type=_count, metavar="ID", help="as `list` tells it")
    for act in (listing, showing):
        act.add_argument(
            "--stack", type=_object_name, metavar="NAMESPACE/NAME", help="if there are several"
        )
        act.add_argument(
            "--state", type=Path, metavar="DIR", help="folder of a running `k8gentai up`"
        )


def _add_decide(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "id", metavar="ID", help="of the approval (mcpr_…), or of its response (resp_…) for all"
    )
    verb.add_argument(
        "--url", default="http://127.0.0.1:8321", help="the Stack's server (%(default)s)"
    )
    verb.add_argument("--token", help="yours, where the server asks for one")


def _add_explain(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "user",
        metavar="USER",
        help="by name (ann), by claims of the token (groups=staff,region=eu), by both "
        "(ann,groups=staff), or `anonymous`",
    )
    verb.add_argument("agent", type=_object_name, metavar="[NAMESPACE/]AGENT")
    verb.add_argument("tool", type=_object_name, nargs="?", metavar="[NAMESPACE/]TOOL")
    verb.add_argument(
        "-f", "--folder", type=Path, help="manifests in a folder, in place of those in the cluster"
    )


def word(arguments: argparse.Namespace) -> "Word":
    """What `approve` or `deny` says."""
    from controller.local.decide import Word  # noqa: PLC0415 - as the module says

    return Word(
        id=arguments.id,
        approve=arguments.verb == "approve",
        url=arguments.url.rstrip("/").removesuffix("/v1"),
        reason=getattr(arguments, "reason", None),
        token=arguments.token,
    )


def options(arguments: argparse.Namespace) -> "Options":
    """What `up` is to do."""
    from controller.local.up import Options  # noqa: PLC0415 - as the module says

    return Options(
        folder=arguments.folder,
        port=arguments.port,
        question=arguments.ask,
        model=model(os.environ),
        state=arguments.state,
    )


def check_options(arguments: argparse.Namespace) -> "CheckOptions":
    """What `check` is to do; what makes no sense of it, the kit itself refuses."""
    from controller.api.agent import Framework  # noqa: PLC0415 - as the module says
    from controller.local.check import CheckOptions  # noqa: PLC0415 - as above

    return CheckOptions(
        framework=Framework(arguments.framework),
        entrypoint=arguments.entrypoint,
        path=arguments.path,
        model_base_url=arguments.model_base_url,
        model=arguments.model,
        report=arguments.report,
    )


def dead_options(arguments: argparse.Namespace) -> "DeadOptions":
    """What `dead` is to do."""
    from controller.dead import DeadOptions  # noqa: PLC0415 - as the module says

    showing = arguments.act == "show"
    return DeadOptions(
        letter=arguments.letter if showing else None,
        stack=arguments.stack,
        state=arguments.state,
        most=1 if showing else arguments.limit,
    )


def explain_options(arguments: argparse.Namespace) -> "ExplainOptions":
    """What `explain` is to say."""
    from controller.explain import ExplainOptions, user_of  # noqa: PLC0415 - as the module says

    return ExplainOptions(
        user=user_of(arguments.user),
        agent=arguments.agent,
        tool=arguments.tool,
        folder=arguments.folder,
    )


def say(words: str) -> None:
    """A line of progress, apart from what was asked for."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def show(words: str) -> None:
    """A piece of what was asked for."""
    sys.stdout.write(words)
    sys.stdout.flush()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; choose one from 0 to {LAST_PORT}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _object_name(text: str) -> ObjectName:
    namespace, _, name = text.rpartition("/")
    try:
        return ObjectName(namespace=token(namespace or "default"), name=token(name))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} names no object; say namespace/name, or a name in `default`"
        ) from error


def model(environment: Mapping[str, str]) -> "ModelEndpoint | None":
    """The user's own model endpoint, if there is one: MODEL_BASE_URL, and MODEL for its name."""
    from controller.local.site import ModelEndpoint  # noqa: PLC0415 - as the module says

    url = environment.get("MODEL_BASE_URL")
    return ModelEndpoint(url, environment.get("MODEL")) if url else None


if __name__ == "__main__":
    main()
