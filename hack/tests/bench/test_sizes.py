"""What an environment takes, on one that is made for the test."""

import shutil
from pathlib import Path

import pytest
import sizes

PROJECT = """
[project.optional-dependencies]
worker = ["nats-py==2"]
framed = ["k8gentai[worker]", "frame[fast]>=1", "jsonschema>=4"]
"""


def installed(site: Path, name: str, size: int, *requires: str) -> None:
    """A package with one module of so many bytes."""
    module, info = site / f"{name}.py", site / f"{name}-1.dist-info"
    module.write_bytes(b"#" * size)
    info.mkdir()
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    extras = "".join(f"Provides-Extra: {one}\n" for one in ("fast", "slow"))
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{extras}{needs}"
    )
    (info / "RECORD").write_text(f"{name}.py,,\n{name}-1.dist-info/gone,,\n")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    folder = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    folder.mkdir(parents=True)
    installed(
        folder,
        "frame",
        1000,
        "Core_Parts",
        'engine; extra == "fast"',
        'brake; extra == "slow"',
        'old; python_version < "3"',
    )
    installed(folder, "core_parts", 200, "frame")
    installed(folder, "engine", 30)
    installed(folder, "nats_py", 4000)
    program = tmp_path / "env" / "bin"
    program.mkdir()
    (program / "frame").write_bytes(b"#" * 9)
    (program / "python").symlink_to("/usr/bin/env")
    return tmp_path / "env"


def test_what_the_framework_takes_is_told_from_the_rest(environment: Path, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    (runtime / "tests").mkdir(parents=True)
    (runtime / "tests" / "test_it.py").write_bytes(b"#" * 700)
    (runtime / "it.py").write_bytes(b"#" * 50_000)
    (runtime / "it.pyc").write_bytes(b"#" * 900)
    wanted = sizes.asked_for(PROJECT, "framed")
    assert [str(one) for one in wanted] == ["frame[fast]>=1"]

    bare, all_of_it = sizes.sizes(environment, runtime, wanted)

    assert bare == pytest.approx(1230 / 1e6)
    rest = sum(file.stat().st_size for file in environment.rglob("*-1.dist-info/*"))
    assert all_of_it * 1e6 == pytest.approx(5230 + 9 + rest + 50_000)


def test_an_environment_without_what_is_needed_is_told(environment: Path, tmp_path: Path) -> None:
    (info,) = environment.rglob("engine-1.dist-info")
    shutil.rmtree(info)
    with pytest.raises(LookupError, match="engine is not installed"):
        sizes.sizes(environment, tmp_path, sizes.asked_for(PROJECT, "framed"))
