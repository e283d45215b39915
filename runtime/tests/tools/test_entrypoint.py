"""Loading a user's module: what works, and what is said when it does not."""

import re
from pathlib import Path

import pytest

from runtime.contract.agent_config import Module, Origin
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


FORM = "must have the form module:name, "


@pytest.mark.parametrize(
    ("entrypoint", "way_out"),
    [
        ("math_agent", 'for example "math_agent:graph" for graph in math_agent.py'),
        ("math_agent:", 'for example "math_agent:graph" for graph in math_agent.py'),
        (":graph", 'for example "math_agent:graph" for graph in math_agent.py'),
        ("math-agent.py:graph", 'for example "math_agent:graph" for graph in math_agent.py'),
        ("math_agent.py:made", 'as Python imports it: write "math_agent:made"'),
        ("./math_agent.py:made", 'as Python imports it: write "math_agent:made"'),
        ("my/math_agent:made", 'as Python imports it: write "math_agent:made"'),
    ],
)
def test_an_entrypoint_is_written_as_python_imports_it(entrypoint: str, way_out: str) -> None:
    said = refusal(Module(entrypoint=entrypoint))
    assert said == f'{FIELD}.entrypoint "{entrypoint}" {FORM}{way_out}'


def test_a_file_in_place_of_a_module_is_told_when_the_module_is_there(written: Written) -> None:
    there = written("run = 5")
    name = there.entrypoint.removesuffix(":run")
    said = refusal(there.model_copy(update={"entrypoint": f"{name}.py:run"}))
    assert said.endswith(f'as Python imports it: write "{name}:run"')


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (Origin.CONFIG_MAP, f"; the ConfigMap of {FIELD}.configMapRef has {{file}}"),
        (
            Origin.IMAGE,
            f" in the image of {FIELD}.image; copy it there, and name its folder in PYTHONPATH",
        ),
        (
            Origin.WORKER,
            (
                " in the worker's own image; name the ConfigMap that has it in "
                f"{FIELD}.configMapRef, or an image in {FIELD}.image"
            ),
        ),
        (Origin.FOLDER, "; {folder} has {file}; --path names another folder"),
    ],
)
def test_a_missing_module_is_told_with_what_is_there(
    written: Written, tmp_path: Path, origin: Origin, told: str
) -> None:
    file = written("run = 5").entrypoint.replace(":run", ".py")
    said = refusal(Module(entrypoint="nowhere_at_all:run", path=str(tmp_path), origin=origin))
    given = "the entrypoint" if origin is Origin.FOLDER else f"{FIELD}.entrypoint"
    there = told.format(file=file, folder=tmp_path)
    assert said == f'{given} "nowhere_at_all:run": there is no module nowhere_at_all{there}'


def test_an_empty_config_map_is_told(tmp_path: Path) -> None:
    said = refusal(Module(entrypoint="nowhere_at_all:run", path=str(tmp_path / "none")))
    assert said.endswith("the ConfigMap of spec.source.module.configMapRef has no .py key")


def test_a_folder_with_many_files_is_told_in_part(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"held_{number:02}.py").touch()
    said = refusal(Module(entrypoint="nowhere_at_all:run", path=str(tmp_path)))
    assert said.endswith(" has " + "".join(f"held_{number:02}.py, " for number in range(10)) + "…")


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (
            Origin.CONFIG_MAP,
            (
                "if nowhere_at_all is a file of yours, add it to the ConfigMap of "
                f"{FIELD}.configMapRef; else for `make up`, let PYTHONPATH name a folder that has "
                "it (pip install --target); in a cluster, build an image FROM the runtime image "
                f"that has it and your module, and name it in {FIELD}.image in place of "
                "configMapRef"
            ),
        ),
        (Origin.IMAGE, f"install it in the image of {FIELD}.image"),
        (
            Origin.WORKER,
            (
                "for `make up`, let PYTHONPATH name a folder that has it (pip install --target); "
                "in a cluster, build an image FROM the runtime image that installs it, and name it "
                f"in {FIELD}.image"
            ),
        ),
        (
            Origin.FOLDER,
            (
                "let PYTHONPATH name a folder that has it (pip install --target); in a cluster the "
                f"agent needs an image that has it ({FIELD}.image)"
            ),
        ),
    ],
)
def test_a_missing_dependency_names_the_way_out(
    written: Written, origin: Origin, told: str
) -> None:
    module = written("import nowhere_at_all\nrun = 5")
    said = refusal(module.model_copy(update={"origin": origin}))
    error = "py:1 ModuleNotFoundError: No module named 'nowhere_at_all'"
    assert said.endswith(f"{error}; {told}")


def test_a_part_that_another_version_has_is_no_missing_dependency(written: Written) -> None:
    said = refusal(written("import pydantic.nowhere\nrun = 5"))
    assert said.endswith(
        "; the pydantic that is installed here is of a version without pydantic.nowhere"
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


THINGS = """
    from pathlib import Path
    from json import dumps, loads

    LIMIT, graph, other, _hidden = 5, [1], [2], [3]

    def make(): ...

    class Kind:
        def method(self): ...
"""


@pytest.mark.parametrize(
    ("name", "fits", "told"),
    [
        ("grph", True, "; did you mean graph?"),
        ("mak", True, "; did you mean make?"),
        ("nobody", True, "; it has graph, other"),
        ("nobody", False, "; it has make"),
        ("_hiden", True, "; it has graph, other"),
        ("dump", False, "; it has make"),
        ("Kind.methods", False, "; did you mean method?"),
    ],
)
def test_what_may_have_been_meant_is_told(
    written: Written, name: str, *, fits: bool, told: str
) -> None:
    """What fits, or a function that was written there; nothing that was only imported."""
    with pytest.raises(BadSpec) as caught:
        load(
            written(THINGS, name),
            field=FIELD,
            fits=(lambda found: isinstance(found, list)) if fits else None,
        )
    assert str(caught.value).endswith(f" has no {name.rpartition('.')[2]}{told}")


@pytest.mark.parametrize("name", ["graph", "a.graph"])
def test_where_nothing_may_have_been_meant_nothing_is_told(written: Written, name: str) -> None:
    assert refusal(written("a = 5", name)).endswith(" has no graph")


@pytest.mark.parametrize(
    ("origin", "file"),
    [(Origin.CONFIG_MAP, f"that key of {FIELD}.configMapRef"), (Origin.FOLDER, "that file")],
)
def test_a_file_must_not_hide_an_installed_module(
    tmp_path: Path, origin: Origin, file: str
) -> None:
    (tmp_path / "langgraph.py").write_text("graph = 5")
    said = refusal(Module(entrypoint="langgraph:graph", path=str(tmp_path), origin=origin))
    assert said.endswith(
        f"langgraph.py would hide the installed module langgraph; give {file} another name"
    )


class Mine:
    pass


def test_a_type_is_named_as_its_users_know_it() -> None:
    assert kind_of(5) == "an int"
    assert kind_of(None) == "None"
    assert kind_of(Mine) == "a class"
    assert kind_of(Module(entrypoint="a:b")) == "a runtime.contract.agent_config.Module"
    assert kind_of(Mine()).endswith("test_entrypoint.Mine")
