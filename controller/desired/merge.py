"""What a user adds to a generated pod: the user has the last word."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.model import LIST_KEYS


def merged(base: Any, patch: Any, field: str = "") -> Any:
    """`base` with `patch` laid over it; neither is changed.

    Objects are merged member by member, lists of `LIST_KEYS` entry by entry (new entries come
    last); everything else of `patch` replaces what was there, and null takes it away.

    Source:
        Kubernetes, "Update API Objects in Place Using kubectl patch", strategic merge.
    """
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        return _merged_object(base, patch)
    key = LIST_KEYS.get(field)
    if key is not None and _is_keyed(base, key) and _is_keyed(patch, key):
        return _merged_list(base, patch, key)
    return patch


def _merged_object(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: merged(base.get(name), value, name) for name, value in patch.items()}
    return {name: value for name, value in {**base, **both}.items() if value is not None}


def _is_keyed(entries: object, key: str) -> bool:
    return isinstance(entries, Sequence) and all(
        isinstance(entry, Mapping) and key in entry for entry in entries
    )


def _merged_list(
    base: Sequence[Mapping[str, Any]], patch: Sequence[Mapping[str, Any]], key: str
) -> list[Any]:
    merged_by_key: dict[str, Mapping[str, Any]] = {entry[key]: entry for entry in base}
    for entry in patch:
        merged_by_key[entry[key]] = _merged_object(merged_by_key.get(entry[key], {}), entry)
    return list(merged_by_key.values())
