"""The command line as its users find it."""

import subprocess
import sys

import pytest

HEAVY = ("controller.local.up", "controller.clients.jetstream", "controller.api.agent", "aiohttp")


@pytest.mark.parametrize("verb", [[], ["up"], ["approve"], ["dead", "list"]])
def test_help_loads_nothing_of_what_the_verbs_need(verb: list[str]) -> None:
    code = (
        "import sys; from controller.cli import parser\n"
        f"try: parser().parse_args({[*verb, '--help']!r})\n"
        f"except SystemExit: print([one for one in {HEAVY!r} if one in sys.modules])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.splitlines()[0].startswith("usage: k8gentai")
    assert said.splitlines()[-1] == "[]"
