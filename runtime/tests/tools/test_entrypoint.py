"""Loading a user's module: what works, and what is said when it does not."""

import re
from pathlib import Path

import pytest

from runtime.contract.agent_config import Module
from runtime.tests.tools.conftest import Written
from runtime.tools.entrypoint import kind_of, load
from runtime.tools.errors import BadSpec

FIELD = "spec.source.module"


def refusal(module: Module) -> str:
    with pytest.raises(BadSpec) as caught:
        load(module, field=FIELD)
    return str(caught.value)


def test_an_entrypoint_is_loaded_from_its_folder(written: Written) -> None:
    assert load(written("run = 5"), field=FIELD) == 5


def test_an_entrypoint_may_go_deeper(written: Written) -> None:
    assert load(written("class Math:\n    add = 7", "Math.add"), field=FIELD) == 7


def test_an_installed_module_needs_no_folder() -> None:
    assert load(Module(entrypoint="json:dumps"), field=FIELD).__name__ == "dumps"


@pytest.mark.parametrize("entrypoint", ["math_agent", "math_agent:", ":graph"])
def test_an_entrypoint_has_two_parts(entrypoint: str) -> None:
    said = refusal(Module(entrypoint=entrypoint))
    assert said == f'{FIELD}.entrypoint "{entrypoint}" must have the form module:attribute'


def test_a_missing_module_is_told_with_what_is_there(written: Written) -> None:
    there = written("run = 5")
    said = refusal(Module(entrypoint="nowhere_at_all:run", path=there.path))
    file = there.entrypoint.replace(":run", ".py")
    assert said == (
        f'{FIELD}.entrypoint "nowhere_at_all:run": there is no module nowhere_at_all; '
        f"the ConfigMap of {FIELD}.configMapRef has {file}"
    )


def test_an_empty_config_map_is_told(tmp_path: Path) -> None:
    said = refusal(Module(entrypoint="nowhere_at_all:run", path=str(tmp_path / "none")))
    assert said.endswith("the ConfigMap of spec.source.module.configMapRef has no .py key")


def test_a_module_missing_from_an_image_is_told() -> None:
    said = refusal(Module(entrypoint="nowhere_at_all:run"))
    assert said.endswith(
        "there is no module nowhere_at_all in the image of spec.source.module.image"
    )


def test_a_missing_dependency_names_the_way_out(written: Written) -> None:
    said = refusal(written("import nowhere_at_all\nrun = 5"))
    assert re.search(
        r"users_\d+\.py:1 ModuleNotFoundError: No module named 'nowhere_at_all'; build an image "
        r"FROM the runtime image that installs it, and name it in spec\.source\.module\.image$",
        said,
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1\nrun = 1 / 0", "py:2 ZeroDivisionError: division by zero"),
        ("def run(:\n  pass", "py:1 SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(3)", "py:2 SystemExit: 3"),
        ("raise RuntimeError", "py:1 RuntimeError"),
    ],
)
def test_a_failing_import_names_the_users_line(written: Written, source: str, told: str) -> None:
    said = refusal(written(source))
    assert re.search(rf": importing it failed at users_\d+\.{re.escape(told)}", said)


def test_a_missing_attribute_names_close_ones(written: Written) -> None:
    said = refusal(written("graph = 5\nother = 6", "grph"))
    assert re.search(r"users_\d+ has no grph; did you mean graph\?$", said)


def test_a_missing_attribute_lists_all_when_none_is_close(written: Written) -> None:
    said = refusal(written("a = 5\nb = 6", "graph"))
    assert said.endswith("has no graph; did you mean a or b?")


def test_a_file_must_not_hide_an_installed_module(tmp_path: Path) -> None:
    (tmp_path / "langgraph.py").write_text("graph = 5")
    said = refusal(Module(entrypoint="langgraph:graph", path=str(tmp_path)))
    assert said.endswith(
        "langgraph.py would hide the installed module langgraph; "
        "give that key of spec.source.module.configMapRef another name"
    )


class Mine:
    pass


def test_a_type_is_named_as_its_users_know_it() -> None:
    assert kind_of(5) == "int"
    assert kind_of(Module(entrypoint="a:b")) == "runtime.contract.agent_config.Module"
    assert kind_of(Mine()).endswith("test_entrypoint.Mine")
