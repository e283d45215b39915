"""Every key in the Stack's buckets is made here and nowhere else; `subjects` makes the other names.

Source:
    NATS documentation, key-value API ADR-8.
"""

import hashlib
import re

from runtime.contract.subjects import pair, token
from runtime.contract.value import ObjectName

CONVERSATION = re.compile(r"[-_A-Za-z0-9]{1,128}")
EFFECT_TOKENS = 7  # tool, caller: two each; task, step, index
ASKED = "agent_"  # before the name of an Agent where a Tool's stands else: no name has a `_`
AGENT_ENTRIES = "agents.*.*"  # in `catalogue`: every `agent_entry`
CONVERSATION_HEADS = "heads.*"  # in `conversations`: every `conversation_head`
RUN_RECORDS = "*.*.*"  # in `runs`: every `run_key`
TOOL_ENTRIES = "tools.*.*"  # in `catalogue`: every `tool_entry`
WORKLOAD_ENTRIES = "workloads.*.*"  # in `policy`: every `workload_entry`


def run_key(agent: ObjectName, task: str) -> str:
    """The key of a task's run record in `runs`."""
    return f"{pair(agent)}.{token(task)}"


def claim_key(user: str, key: str) -> str:
    """The key in `runs` of a request with an `Idempotency-Key`: one token less than `run_key`."""
    return f"claims.{hashlib.sha256(f'{user}\0{key}'.encode()).hexdigest()}"


def checkpoint_key(agent: ObjectName, task: str) -> str:
    """The key in `checkpoints` of how far a run has come."""
    return f"{pair(agent)}.{token(task)}"


def checkpoint_part(agent: ObjectName, task: str, attempt: int, place: int, part: int) -> str:
    """The key in `checkpoints` of one part of a value that is too large for one."""
    return f"{checkpoint_key(agent, task)}.{attempt}.{place}.{part}"


def effect_key(tool: ObjectName, caller: ObjectName, task: str, step: int, index: int) -> str:
    """The key of one call in `effects`: the same for every rerun of the same step."""
    return f"{pair(tool)}.{pair(caller)}.{token(task)}.{step}.{index}"


def effect_part(key: str, reservation: int, part: int) -> str:
    """The key in `effects` of one part of a result that is too large for the record of its call.

    Whoever may write or read the record may write or read its parts. `reservation` is the revision
    of the record that the writer holds: no two writers ever hold the same.
    """
    return f"{key}.{reservation}.{part}"


def ask_key(agent: ObjectName, caller: ObjectName, task: str, step: int, index: int) -> str:
    """The key of one call of an Agent in `effects`; no Tool of the same name may write it."""
    callee = f"{token(agent.namespace)}.{ASKED}{token(agent.name)}"
    return f"{callee}.{pair(caller)}.{token(task)}.{step}.{index}"


def asked_task(call: str) -> str:
    """The id of the task that a call of an Agent becomes; `call` is its `ask_key`."""
    return hashlib.sha256(call.encode()).hexdigest()[:32]


def effect_callee(key: str) -> str | None:
    """The name of the Tool or Agent in a key of `effects`, None if it is no such key."""
    parts = key.split(".")
    return parts[1].removeprefix(ASKED) if len(parts) == EFFECT_TOKENS else None


def keys_of(owner: ObjectName) -> str:
    """All keys of an Agent in `runs` and `checkpoints`, of a Tool in `effects`."""
    return f"{pair(owner)}.>"


def runs_of(agent: ObjectName) -> str:
    """The keys in `runs` of all tasks of `agent`."""
    return f"{pair(agent)}.*"


def checkpoints_of(agent: ObjectName, task: str) -> tuple[str, ...]:
    """The keys in `checkpoints` of one run, those of parts included."""
    key = checkpoint_key(agent, task)
    return key, f"{key}.>"


def effects_of(caller: ObjectName, task: str) -> str:
    """The keys in `effects` of all calls that one run of `caller` made, those of parts included."""
    return f"*.*.{pair(caller)}.{token(task)}.>"


def effects_for(caller: ObjectName) -> str:
    """All keys in `effects` of calls that `caller` made."""
    return f"*.*.{pair(caller)}.>"


def agent_entry(agent: ObjectName) -> str:
    """The key of an Agent in `catalogue`; the operator writes it."""
    return f"agents.{pair(agent)}"


def tool_entry(tool: ObjectName) -> str:
    """The key of a Tool in `catalogue`; the operator writes it."""
    return f"tools.{pair(tool)}"


def functions_entry(tool: ObjectName) -> str:
    """The key of a Tool's discovered functions in `catalogue`; its worker writes it."""
    return f"functions.{pair(tool)}"


def conversation_head(conversation: str) -> str:
    """The key in `conversations` of where a conversation stands: whose it is, who runs and waits.

    Raises:
        ValueError: `conversation` has other characters than letters, digits, `-` and `_`.
    """
    return f"heads.{_conversation(conversation)}"


def conversation_chunk(conversation: str, number: int) -> str:
    """The key in `conversations` of the older turns of a conversation, chunk by chunk from 0."""
    return f"chunks.{_conversation(conversation)}.{number}"


def conversation_blob(conversation: str, digest: str, part: int) -> str:
    """The key in `conversations` of one part of a turn that is too large for a chunk."""
    return f"blobs.{_conversation(conversation)}.{token(digest)}.{part}"


def conversation_rest(conversation: str) -> tuple[str, ...]:
    """All keys in `conversations` of a conversation but that of its head."""
    name = _conversation(conversation)
    return f"chunks.{name}.*", f"blobs.{name}.>"


def legacy_key(user: str, *ids: str) -> str:
    """The key in `conversations` of what a user has made over the legacy agents API.

    Without `ids` it is the list of his agents; with the ids of an agent, a session of it and a turn
    of that, it is one of those. The user is in it as a digest, so nobody finds what is another's.

    Raises:
        ValueError: an id is no DNS label.
    """
    return ".".join(("legacy", _digest(user), *map(token, ids)))


def vectors_key(user: str, *ids: str) -> str:
    """The key in `conversations` of what a user keeps in vector databases of the legacy API.

    Without `ids` it is the list of his databases; with that of a database it is this one, and with
    that of a document what is kept of it. Ids are his own words, so each is in it as a digest.
    """
    return ".".join(("vectors", _digest(user), *map(_digest, ids)))


def all_below(key: str) -> tuple[str, ...]:
    """A `legacy_key` or `vectors_key`, and every one that begins with it."""
    return key, f"{key}.>"


def legacy_part(key: str, digest: str, part: int) -> str:
    """The key in `conversations` of one part of what is too large for a `legacy_key` alone."""
    return f"{key}.parts.{token(digest)}.{part}"


def legacy_conversation(session: str) -> str:
    """The id of the conversation of a session of the legacy agents API."""
    return f"session_{session}"


def dispatcher_lease() -> str:
    """The key in `conversations` that says which dispatcher of the Stack leads."""
    return "lease.dispatcher"


def workload_entry(service_account: ObjectName) -> str:
    """The key in `policy` of what the workload with this ServiceAccount may do on the queue."""
    return f"workloads.{pair(service_account)}"


def agent_account(agent: ObjectName) -> ObjectName:
    """The ServiceAccount that the workers of an Agent run as."""
    return ObjectName(namespace=agent.namespace, name=f"agent-{agent.name}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _conversation(conversation: str) -> str:
    if not CONVERSATION.fullmatch(conversation):
        raise ValueError(f"{conversation!r} is no id of a conversation")
    return conversation
