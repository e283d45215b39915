"""What `k8gentai check` and the kit that it runs are both told on their command lines."""

import argparse
from pathlib import Path

from runtime.contract.agent_config import Framework


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take what is to be checked, with which model, and where the report goes."""
    parser.add_argument(
        "entrypoint",
        nargs="?",
        metavar="module:name",
        help="the agent; without it, one from instructions is checked",
    )
    parser.add_argument(
        "--framework", required=True, choices=[one.value for one in Framework], help="its framework"
    )
    parser.add_argument(
        "--path", type=Path, default=Path(), help="folder with the module (this one)"
    )
    parser.add_argument("--model-base-url", metavar="URL", help="a model to ask, with its /v1")
    parser.add_argument("--model", metavar="NAME", help="its name there")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
