"""Code kept in files of its own: the ConfigMaps that a kustomization makes of them.

Source:
    kustomize, "configMapGenerator" and "generatorOptions". It adds a digest to the name of what it
    makes, and mends references of the kinds it knows, ours not among them; so that has to be off.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from controller.model import Manifest

GENERATORS: Final = "configMapGenerator"
UNHASHED: Final = "disableNameSuffixHash"


class BadGenerator(ValueError):
    """It asks for what is not done here; the message names the field and the way out."""


def generated(said: Mapping[str, Any], read: Callable[[str], str]) -> Iterator[Manifest]:
    """The ConfigMaps that a kustomization makes.

    Args:
        said: the kustomization.
        read: gives the text of a file beside it.

    Raises:
        BadGenerator: it uses more than names and files.
    """
    common = said.get("generatorOptions") or {}
    _only(common, {UNHASHED}, "generatorOptions")
    for place, one in enumerate(said.get(GENERATORS) or ()):
        field = f"{GENERATORS}[{place}]"
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            raise BadGenerator(f"{field}: name is required")
        _only(one, {"name", "namespace", "files", "options"}, field)
        options = one.get("options") or {}
        _only(options, {UNHASHED}, f"{field}.options")
        if not options.get(UNHASHED, common.get(UNHASHED)):
            raise BadGenerator(
                f"generatorOptions.{UNHASHED}: must be true; else kubectl gives the ConfigMap "
                f"{one['name']} another name, and no Agent or Tool finds it"
            )
        metadata = {name: one[name] for name in ("name", "namespace") if name in one}
        files = (_file(str(file), field) for file in one.get("files") or ())
        data = {key: read(path) for key, path in files}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _file(entry: str, field: str) -> tuple[str, str]:
    """The key and the path of `path` or `key=path`."""
    key, _, path = entry.rpartition("=")
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or path.startswith("/"):
        raise BadGenerator(f"{field}.files: {entry}: must be a file of this folder; move it here")
    return key or parts[-1], path


def _only(said: Mapping[str, Any], known: set[str], field: str) -> None:
    if beyond := sorted(said.keys() - known):
        raise BadGenerator(
            f"{field}.{beyond[0]}: embedded mode knows {', '.join(sorted(known))}; write a "
            "ConfigMap, or use kubectl apply -k on a cluster"
        )
