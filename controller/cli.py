"""The `k8gentai` command: a second front door beside the cluster's. It decides nothing."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from controller.local.manifests import BadManifest
from controller.local.site import ModelEndpoint
from controller.local.up import Failed, Options, up

LAST_PORT: Final = 65535


def main() -> None:
    """Run the command line; exits with 0, 1 if it did not work out, 2 for a wrong command."""
    arguments = parser().parse_args()
    try:
        asyncio.run(up(options(arguments)))
    except (BadManifest, Failed) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    top = argparse.ArgumentParser(prog="k8gentai", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("up", help="run the manifests of a folder on this machine")
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
    return top


def options(arguments: argparse.Namespace) -> Options:
    """What `up` is to do."""
    return Options(
        folder=arguments.folder,
        port=arguments.port,
        question=arguments.ask,
        model=model(os.environ),
        state=arguments.state,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; choose one from 0 to {LAST_PORT}")
    return int(text)


def model(environment: Mapping[str, str]) -> ModelEndpoint | None:
    """The user's own model endpoint, if there is one: MODEL_BASE_URL, and MODEL for its name."""
    url = environment.get("MODEL_BASE_URL")
    return ModelEndpoint(url, environment.get("MODEL")) if url else None


if __name__ == "__main__":
    main()
