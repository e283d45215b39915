"""Whether a Tool's functions are still those that were accepted, and what is said of it: pure.

What the spec itself changes is no drift: functions are accepted as they are found first for what
`python`, `mcp`, `http` and `inputSchema` say. What changes behind it is one, until the spec accepts
it by `schemaDigest`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from runtime.contract.catalogue import FunctionSpec, ToolFunctions

# As the CRD limits them: what workers say of themselves is cut, so that a status is never refused.
MOST_TOOLS: Final = 256
NAME_LENGTH: Final = 128
DESCRIPTION_LENGTH: Final = 4096

MOST_TOLD: Final = 20
LONGEST_TOLD: Final = 3000
"""Changes that a message tells of, and their characters: the way out has to fit behind them."""

SOURCES: Final = {"python", "mcp", "http", "input_schema"}
"""The fields of a Tool's spec that say where its functions come from."""


def discovered_tool(function: FunctionSpec) -> DiscoveredTool:
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a Tool reports of its schema.

    Shape:
        digest   of all functions, None if none were ever found.
        drifted  the condition; None if the functions are those that were accepted.
    """

    digest: str | None
    accepted: AcceptedSchema | None
    drifted: Condition | None


def judged(
    spec: ToolSpec,
    before: ToolStatus,
    shown: Sequence[DiscoveredTool],
    said: ToolFunctions | None,
    speaker: Speaker,
) -> Judgement:
    """What to report now that the worker has `said` this, and `shown` are the functions."""
    if said is None or not said.is_known:
        stays = before.condition(ConditionType.SCHEMA_DRIFTED)
        return Judgement(before.schema_digest, kept(before, shown), stays)
    accepted = accepted_schema(spec, before, shown, is_whole=said.problem is None)
    return Judgement(digest_of(shown), accepted, drift(spec, accepted, shown, speaker))


def accepted_schema(
    spec: ToolSpec, before: ToolStatus, found: Sequence[DiscoveredTool], *, is_whole: bool
) -> AcceptedSchema | None:
    """The functions that a drift is told against, now that `found` is known.

    None if none were accepted yet: of what the spec wants something is missing unless `is_whole`,
    or it accepts others, and those were never seen.
    """
    digest, source, was = digest_of(found), _source(spec), before.accepted_schema
    if spec.schema_digest is None:
        is_accepted = is_whole and (was is None or was.source != source)
    else:
        is_accepted = digest == spec.schema_digest
    if not is_accepted:
        return kept(before, found)
    names = (DiscoveredTool(name=one.name, schema_digest=one.schema_digest) for one in found)
    return AcceptedSchema(digest=digest, source=source, functions=tuple(names))


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
) -> Condition | None:
    """SchemaDrifted, if `found` are not the functions that are accepted.

    What was accepted for another source is nothing to compare with.
    """
    digest, wanted = digest_of(found), spec.schema_digest
    if wanted is None and accepted is not None and accepted.source == _source(spec):
        wanted = accepted.digest
    if wanted is None or digest == wanted:
        return None
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
    return abnormal(ConditionType.SCHEMA_DRIFTED, said)


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
    """The worst first, as many as one cares to read; names are what others made of them."""
    worst = sorted(changes, key=lambda change: not change.is_breaking)
    text = "; ".join(change.said for change in worst[:MOST_TOLD])
    shown = "".join(one if one.isprintable() else " " for one in text[:LONGEST_TOLD])
    cut = "…" if len(text) > LONGEST_TOLD else ""
    more = f"; and {len(changes) - MOST_TOLD} more" if len(changes) > MOST_TOLD else ""
    return f"{shown}{cut}{more}"


def _key(function: DiscoveredTool) -> tuple[str, str]:
    return function.name, function.schema_digest


def _source(spec: ToolSpec) -> str:
    return _digest(spec.model_dump_json(include=SOURCES, exclude_defaults=True))
