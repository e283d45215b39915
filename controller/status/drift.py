"""Whether a Tool's functions are still those that were accepted, and what is said of it: pure.

What the spec itself changes is no drift: functions are accepted as they are found first for what
`python`, `mcp`, `http` and `inputSchema` say. What changes behind it is one, until the spec accepts
it by `schemaDigest`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from controller.api.conditions import (
    Condition,
    ConditionType,
    SchemaDriftedReason,
    abnormal,
)
from controller.api.tool import AcceptedSchema, ToolSpec, ToolStatus
from controller.api.workload_status import DiscoveredTool
from controller.status.conditions import Speaker
from controller.status.schema_changes import SchemaChange, schema_changes
from runtime.contract.catalogue import FunctionSpec

# As the CRD limits them: what workers say of themselves is cut, so that a status is never refused.
MOST_TOOLS: Final = 256
NAME_LENGTH: Final = 128
DESCRIPTION_LENGTH: Final = 4096

MOST_TOLD: Final = 20
"""Changes that a message tells of."""

SOURCES: Final = {"python", "mcp", "http", "input_schema"}
"""The fields of a Tool's spec that say where its functions come from."""


def discovered(function: FunctionSpec) -> DiscoveredTool:
    """A function as a status shows it."""
    return DiscoveredTool(
        name=function.name[:NAME_LENGTH],
        description=function.description[:DESCRIPTION_LENGTH],
        input_schema=function.input_schema,
        schema_digest=_digest(
            json.dumps(
                [function.description, function.input_schema],
                sort_keys=True,
                separators=(",", ":"),
            )
        ),
    )


def digest_of(functions: Iterable[DiscoveredTool]) -> str:
    """One digest of all functions, in whichever order they come."""
    return _digest("\n".join(sorted(f"{one.name} {one.schema_digest}" for one in functions)))


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def accepted_schema(
    spec: ToolSpec, before: ToolStatus, found: Sequence[DiscoveredTool]
) -> AcceptedSchema | None:
    """The functions that a drift is told against, now that `found` is known.

    None if the spec accepts others and those were never seen.
    """
    source, was = _source(spec), before.accepted_schema
    digest = digest_of(found)
    is_new = was is None or was.source != source
    if (spec.schema_digest or digest) == digest and (is_new or spec.schema_digest):
        names = (DiscoveredTool(name=one.name, schema_digest=one.schema_digest) for one in found)
        return AcceptedSchema(digest=digest, source=source, functions=tuple(names))
    return kept(before, found)


def kept(before: ToolStatus, shown: Sequence[DiscoveredTool]) -> AcceptedSchema | None:
    """What was accepted before, with all of it that a status with `shown` does not hold itself."""
    was = before.accepted_schema
    if was is None:
        return None
    full = {_key(one): one for one in (*was.functions, *before.tools)}
    here = {_key(one) for one in shown}
    functions = (
        DiscoveredTool(name=one.name, schema_digest=one.schema_digest)
        if _key(one) in here
        else full[_key(one)]
        for one in was.functions
    )
    return was.model_copy(update={"functions": tuple(functions)})


def drift(
    spec: ToolSpec,
    accepted: AcceptedSchema | None,
    found: Sequence[DiscoveredTool],
    speaker: Speaker,
) -> Iterator[Condition]:
    """SchemaDrifted, if `found` are not the functions that are accepted."""
    digest = digest_of(found)
    wanted = spec.schema_digest or (accepted.digest if accepted else digest)
    if digest == wanted:
        return
    if accepted is None or accepted.digest != wanted:
        reason = SchemaDriftedReason.DIGEST_MISMATCH
        told = "the functions are not those that spec.schemaDigest names"
    else:
        changes = tuple(function_changes(accepted.functions, found))
        is_breaking = any(change.is_breaking for change in changes)
        reason = SchemaDriftedReason.COMPATIBLE_CHANGE
        if is_breaking:
            reason = SchemaDriftedReason.BREAKING_CHANGE
        told = f"the functions are not as they were accepted: {_listed(changes)}"
    way_out = f"agents get them as they are; to accept them, set spec.schemaDigest to {digest}"
    said = speaker.says(reason, f"{told}; {way_out}")
    yield abnormal(ConditionType.SCHEMA_DRIFTED, said)


def function_changes(
    accepted: Sequence[DiscoveredTool], found: Sequence[DiscoveredTool]
) -> Iterator[SchemaChange]:
    """What has changed from the one functions to the other, by name."""
    olds, news = ({one.name: one for one in functions} for functions in (accepted, found))
    for name in sorted({*olds, *news}):
        old, new = olds.get(name), news.get(name)
        if new is None:
            yield SchemaChange(f"{name} was removed", is_breaking=True)
        elif old is None:
            yield SchemaChange(f"{name} is new", is_breaking=False)
        elif old.schema_digest != new.schema_digest:
            for change in _changes(old, new):
                yield SchemaChange(f"{name}: {change.said}", change.is_breaking)


def _changes(old: DiscoveredTool, new: DiscoveredTool) -> Iterator[SchemaChange]:
    if old.description != new.description or old.input_schema == new.input_schema:
        yield SchemaChange("it is described in other words", is_breaking=False)
    yield from schema_changes(old.input_schema, new.input_schema)


def _listed(changes: Sequence[SchemaChange]) -> str:
    """The worst first, as many as one cares to read."""
    worst = sorted(changes, key=lambda change: not change.is_breaking)
    more = f"; and {len(changes) - MOST_TOLD} more" if len(changes) > MOST_TOLD else ""
    return "; ".join(change.said for change in worst[:MOST_TOLD]) + more


def _key(function: DiscoveredTool) -> tuple[str, str]:
    return function.name, function.schema_digest


def _source(spec: ToolSpec) -> str:
    return _digest(spec.model_dump_json(include=SOURCES, exclude_defaults=True))
