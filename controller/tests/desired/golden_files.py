"""Golden files: what the same arguments always give. `GOLDEN=write pytest …` writes them anew."""

import os
from pathlib import Path
from typing import Any, override

import yaml

FOLDER = Path(__file__).parent / "golden"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as one reads them; no references."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def check(name: str, documents: list[Any]) -> None:
    """The documents are those of the golden file `name`."""
    shown = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    file = FOLDER / f"{name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(shown)
    assert shown == file.read_text(), f"{file} differs; see the difference, then GOLDEN=write"
