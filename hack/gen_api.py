"""Write docs/api.md from the document that the API server serves, or check that it has not drifted.

python hack/gen_api.py            write
python hack/gen_api.py --check    exit 1 if it differs

No server is started: the application is made as the server makes it, and asked for its document.
"""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
TEMPLATE = Path(__file__).with_name("api.md.j2")
EXAMPLES = ROOT / "config" / "samples" / "api"
COMMAND = "python hack/gen_api.py"
TITLES = {
    "ask.sh": ("curl", ""),
    "ask_openai.py": ("openai: Responses", "pip install openai"),
    "ask_chat.py": ("openai: chat completions", "pip install openai"),
    "ask_llama_stack.py": ("llama-stack-client 0.7.5", "pip install llama-stack-client==0.7.5"),
    "ask_llama_stack_0_2.py": (
        "llama-stack-client 0.2.23, class Agent",
        "pip install llama-stack-client==0.2.23",
    ),
    "ask_a2a.py": ("A2A", "pip install a2a-sdk==1.3.0"),
    "ask_mcp.py": ("MCP", 'pip install "mcp>=1.23,<2"'),
}
LANGUAGES = {".sh": "sh", ".py": "python"}
ALIASES = ("/v1alpha/agents", "/v1/agents")

type Schema = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """What one client asks."""

    title: str
    install: str
    language: str
    code: str


@dataclass(frozen=True)
class Input:
    """A parameter, or a field of the body; `about` as the last cell of a row."""

    name: str
    where: str
    type: str
    about: str


@dataclass(frozen=True)
class Operation:
    label: str
    about: str
    inputs: tuple[Input, ...] = ()
    answers: str = ""
    refusals: str = ""


@dataclass(frozen=True)
class Part:
    name: str
    about: str
    operations: tuple[Operation, ...]


def document() -> Schema:
    """The document of a server with every API that the operator serves."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(ROOT):
        os.environ |= {
            "K8GENTAI_CONFIG": str(ROOT / "runtime" / "tests" / "amf" / "run.yaml"),
            "K8GENTAI_SCRATCH": folder,
            "K8GENTAI_APIS": str(ROOT / "runtime" / "amf" / "legacy" / "apis"),
            "DATA": folder,
            "MODEL_URL": "http://127.0.0.1:9/v1",
            "QUEUE_URL": "nats://127.0.0.1:9",
            "TOKEN_FILE": folder,
            "LLAMA_STACK_LOGGING": "all=error",
        }
        from runtime.amf.serve import arrange, create_app  # noqa: PLC0415 - they read the environment

        app = create_app()
        arrange(app)
        told: Schema = app.openapi()
        logging.disable()
        return told


class Page:
    """The parts of the page, from the document."""

    def __init__(self, told: Schema) -> None:
        self._schemas: Schema = told["components"]["schemas"]
        self._told = told

    def parts(self) -> Iterator[Part]:
        """Those that are ours."""
        for tag in self._told["tags"]:
            found = tuple(
                self._operation(where, one)
                for where, one in self._operations()
                if tag["name"] in one["tags"] and ALIASES[0] not in where
            )
            about = tag["description"]
            if any(ALIASES[1] in one.label for one in found):
                about += f" What is below `{ALIASES[1]}` is below `{ALIASES[0]}` as well."
            yield Part(tag["name"], about, found)

    def others(self) -> Iterator[Operation]:
        """What Llama Stack serves beside."""
        from runtime.amf.document import is_ours  # noqa: PLC0415 - after the environment is set

        for where, one in self._operations():
            if not is_ours(one):
                yield Operation(where, _cell(one.get("summary", "")))

    def _operations(self) -> Iterator[tuple[str, Schema]]:
        from runtime.amf.document import operations  # noqa: PLC0415 - as above

        return operations(self._told)

    def _operation(self, where: str, one: Schema) -> Operation:
        answers = {status: it for status, it in one["responses"].items() if status[0] == "2"}
        refusals = [status for status in one["responses"] if status[0] in "45"]
        return Operation(
            label=where,
            about=one["description"] or one["summary"],
            inputs=(*self._parameters(one), *self._fields(one)),
            answers=", ".join(self._answer(status, it) for status, it in answers.items()),
            refusals=", ".join(refusals),
        )

    def _parameters(self, one: Schema) -> Iterator[Input]:
        for it in one.get("parameters", ()):
            about = it.get("description", "")
            yield Input(it["name"], it["in"], self._type(it["schema"]), _cell(about))

    def _fields(self, one: Schema) -> Iterator[Input]:
        content = one.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return
        schema = self._resolved(content["application/json"]["schema"])
        required = schema.get("required", ())
        for name, it in schema.get("properties", {}).items():
            about = it.get("description", "")
            where = "body, required" if name in required else "body"
            yield Input(name, where, self._type(it), _cell(about))

    def _answer(self, status: str, told: Schema) -> str:
        kinds = [
            f"`{kind}`" + (f" ({self._type(it['schema'])})" if _is_named(it) else "")
            for kind, it in told.get("content", {}).items()
        ]
        return f"{status} " + (" or ".join(kinds) or "with nothing")

    def _type(self, schema: Schema) -> str:
        """The type in a few words; `null` is not told."""
        if "$ref" in schema:
            found = self._resolved(schema)
            return self._type(found) if "enum" in found else schema["$ref"].rpartition("/")[2]
        if "enum" in schema or "const" in schema:
            return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
        choices = [
            one
            for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
            if one != {"type": "null"}
        ]
        if choices:
            named = list(dict.fromkeys(self._type(one) for one in choices))
            return " or ".join(named) if len(named) <= 3 else f"one of {len(named)} kinds"
        if schema.get("type") == "array":
            return f"list of {self._type(schema.get('items', {}))}"
        return str(schema.get("type", "any"))

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        found: Schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return found


def _is_named(told: Schema) -> bool:
    return "$ref" in told.get("schema", {})


def _cell(text: str) -> str:
    """The text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def examples() -> list[Example]:
    """The files of config/samples/api, in the order of the page."""
    return [
        Example(title, install, LANGUAGES[Path(name).suffix], (EXAMPLES / name).read_text().strip())
        for name, (title, install) in TITLES.items()
    ]


def page() -> str:
    """The text of docs/api.md."""
    told = Page(document())
    from runtime.amf.asked import CHAT, RESPONSES  # noqa: PLC0415 - after the environment is set
    from runtime.amf.statuses import meanings  # noqa: PLC0415 - as above

    template = jinja2.Template(
        TEMPLATE.read_text(), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return template.render(
        examples=examples(),
        meanings=meanings(),
        responses_alone=_listed(RESPONSES),
        chat_alone=_listed(CHAT),
        parts=list(told.parts()),
        others=list(told.others()),
    )


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing, report drift")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    print(f"{PAGE.relative_to(ROOT)} differs from the served document; run `{COMMAND}`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
