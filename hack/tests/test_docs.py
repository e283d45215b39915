"""What the documents say and a machine can check: rooms, links, and a configuration."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from controller.desired.nats import NatsServer, nats_conf
from runtime.contract.value import ObjectName

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
EXTERNAL_NATS = (ROOT / "docs" / "external-nats.md").read_text()
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("hack/**/*.md")])
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]


FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:controller|runtime|hack|config|e2e)/[\w./-]+\w/?)`")


def blocks(page: str) -> list[str]:
    """What stands between fences."""
    return FENCED.findall(page)


def anchors(page: str) -> set[str]:
    """What a link to a heading of the page may say after the `#`."""
    headings = HEADING.findall(FENCED.sub("", page))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def settings(conf: str) -> list[str]:
    """A configuration without its comments."""
    return [line for line in conf.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("package", ["controller", "runtime"])
def test_the_layers_are_those_that_are_checked(package: str) -> None:
    (checked,) = [one["layers"] for one in CONTRACTS if one["name"] == f"The {package} is layered"]
    (drawn,) = [one for one in blocks(ARCHITECTURE) if one.startswith(f"{package}.__main__")]
    assert [re.split(r" {2,}", line)[0] for line in drawn.splitlines()] == checked


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda one: str(one["name"]))
def test_every_import_contract_is_told(contract: dict[str, Any]) -> None:
    assert f"**{contract['name']}" in " ".join(ARCHITECTURE.split())


def test_every_pure_room_is_told() -> None:
    (pure,) = [one["source_modules"] for one in CONTRACTS if one["name"] == "Thinking is pure"]
    paragraph = next(one for one in ARCHITECTURE.split("\n\n") if "Thinking is pure" in one)
    assert set(re.findall(r"`((?:controller|runtime)\.[\w.]+)`", paragraph)) == set(pure)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_leads_nowhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = page.parent / path if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text()), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(page: Path) -> None:
    for name in FILE.findall(page.read_text()):
        assert (ROOT / name).exists(), name


def example() -> str:
    """The configuration that the page shows."""
    (found,) = [one for one in blocks(EXTERNAL_NATS) if one.startswith("server_name")]
    return found


def test_the_configuration_is_what_the_operator_would_write() -> None:
    shown = example()
    (issuer,) = re.findall(r'issuer: "(\w+)"', shown)
    (user,) = re.findall(r' nkey: "(\w+)"', shown)
    (xkey,) = re.findall(r'xkey: "(\w+)"', shown)
    written = nats_conf(
        NatsServer(
            stack=ObjectName(namespace="team", name="default"),
            issuer=issuer,
            trust_user=user,
            xkey=xkey,
            name="nats-0",
            store_dir="/data/jetstream",
        )
    )
    assert settings(shown) == settings(written)


@pytest.mark.integration
def test_nats_server_takes_the_configuration(tmp_path: Path) -> None:
    conf = tmp_path / "nats.conf"
    conf.write_text(example())
    server = Path(sys.prefix) / "bin" / "nats-server"
    asked = subprocess.run([server, "-t", "-c", conf], capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
