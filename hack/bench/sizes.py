"""What the environment of a framework takes on the disk, and how much of it is the framework's own.

Counted without bytecode, which images hold for all of it and environments for what was imported.
"""

import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = frozenset({"k8gentai", "jsonschema"})
"""What an extra of pyproject.toml names beside its framework: our side of a worker."""
MEGABYTE = 1_000_000


def asked_for(project: str, extra: str) -> list[Requirement]:
    """What the extra of a framework asks for of the framework, in the text of pyproject.toml."""
    listed = tomllib.loads(project)["project"]["optional-dependencies"][extra]
    return [one for one in map(Requirement, listed) if one.name not in OURS]


def sizes(environment: Path, runtime: Path, wanted: Sequence[Requirement]) -> tuple[float, float]:
    """In megabytes: what `wanted` takes of an environment, and all of it with `runtime`.

    Raises:
        LookupError: the environment does not hold what is wanted; the message names it.
    """
    (site,) = environment.glob("lib/python3.*/site-packages")
    found = distributions(path=[str(site)])
    installed: dict[str, Distribution] = {canonicalize_name(one.name): one for one in found}
    bare = sum(_size(installed[name]) for name in _closure(installed, wanted))
    return bare / MEGABYTE, (_tree(environment) + _code(runtime)) / MEGABYTE


def _closure(installed: dict[str, Distribution], wanted: Sequence[Requirement]) -> set[str]:
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[str, str]] = [
        (canonicalize_name(one.name), extra) for one in wanted for extra in ("", *one.extras)
    ]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        if name not in installed:
            raise LookupError(f"{name} is not installed, and something asks for it")
        seen.add((name, extra))
        waiting += _needs(installed[name], extra)
    return {name for name, _ in seen}


def _needs(distribution: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    for text in distribution.requires or ():
        needed = Requirement(text)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            for more in ("", *needed.extras):
                yield canonicalize_name(needed.name), more


def _size(distribution: Distribution) -> int:
    files = distribution.files or ()
    return sum(_bytes(Path(str(distribution.locate_file(file)))) for file in files)


def _tree(folder: Path) -> int:
    return sum(_bytes(file) for file in folder.rglob("*"))


def _code(folder: Path) -> int:
    """Of ours no image has the tests."""
    files = (file for file in folder.rglob("*") if "tests" not in file.relative_to(folder).parts)
    return sum(_bytes(file) for file in files)


def _bytes(file: Path) -> int:
    if file.suffix == ".pyc" or file.is_symlink() or not file.is_file():
        return 0
    return file.stat().st_size
