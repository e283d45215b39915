"""Templates to text and manifests; nobody else knows jinja2."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from controller.model import Manifest

TEMPLATES: Final = Path(__file__).parents[2] / "templates"

REMEMBERED: Final = 4096
"""Manifests that are kept as they were read: those of some 1,000 agents."""

_UNSAFE: Final = re.compile(r"[^ -~]")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def nats_quoted(value: str) -> str:
    """`value` as one string of a NATS configuration.

    Raises:
        ValueError: it holds something else than printable ASCII, which no value of ours does.

    Source:
        nats-server, `conf/lex.go`: within double quotes only the backslash escapes are special.
    """
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"{value!r} cannot stand in nats.conf: it is not printable ASCII")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def yaml_quoted(value: object) -> str:
    """`value`, any JSON, as YAML on one line that no reader can take for anything else.

    JSON is YAML but for one thing: YAML does not join the two halves of a surrogate pair, so what
    is not printable ASCII is written with eight digits.

    Source:
        YAML 1.2.2 section 5.7, escaped characters.
    """
    text = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\U{ord(found[0]):08x}", text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML: every value goes through a filter that quotes it
    )
    environment.filters["nats"] = nats_quoted
    environment.filters["tojson"] = yaml_quoted
    return environment


_ENVIRONMENT: Final = _environment()


def text(template: str, **values: object) -> str:
    """The template of that name with `values` in it."""
    return _ENVIRONMENT.get_template(template).render(**values)


def manifest(template: str, **values: object) -> Manifest:
    """The object of Kubernetes that the template of that name describes."""
    return _read(text(template, **values))


@lru_cache(maxsize=REMEMBERED)
def _read(rendered: str) -> Manifest:
    """Reading YAML takes longer than all else; most manifests are the same as last time."""
    found: Manifest = yaml.load(rendered, Loader=_LOADER)  # noqa: S506 - a safe loader
    return found
