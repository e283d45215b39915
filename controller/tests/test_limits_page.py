"""docs/limits.md says what the code does."""

from pathlib import Path

import pytest

from controller.api.fields import ExecutionSpec
from controller.desired.nats import MAX_PAYLOAD_BYTES
from runtime.agent.emitter import TOLD_BYTES
from runtime.amf.door import MAX_BODY_BYTES
from runtime.contract.agent_config import Execution
from runtime.state.checkpoints import MOST_BYTES, MOST_UNPACKED_BYTES
from runtime.state.conversations import HISTORY_BYTES
from runtime.state.parts import PART_BYTES
from runtime.tools.executor import MAX_RESULT_BYTES
from runtime.tools.http import MAX_DOCUMENT_BYTES
from runtime.tools.openapi import MAX_SPEC_BYTES

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
LARGEST_INPUT = next(
    rule.le
    for rule in ExecutionSpec.model_fields["max_input_bytes"].metadata
    if hasattr(rule, "le")
)


def size(count: int) -> str:
    return f"{count // 2**20} MiB" if count % 2**20 == 0 else f"{count // 2**10} KiB"


@pytest.mark.parametrize(
    ("row", "sizes"),
    [
        ("a request", [MAX_BODY_BYTES]),
        ("the input of an Agent", [Execution().max_input_bytes, LARGEST_INPUT]),
        ("history of a conversation", [HISTORY_BYTES]),
        ("input and history together", [MAX_PAYLOAD_BYTES]),
        ("arguments of a call", [MAX_PAYLOAD_BYTES]),
        ("the result of a tool", [MAX_RESULT_BYTES, PART_BYTES]),
        ("what a client reads of a result", [TOLD_BYTES]),
        ("input, history and answer", [MAX_PAYLOAD_BYTES]),
        ("what a run keeps", [MOST_BYTES, MOST_UNPACKED_BYTES]),
        ("an OpenAPI document", [MAX_DOCUMENT_BYTES, MAX_SPEC_BYTES]),
    ],
)
def test_a_row_has_the_sizes_of_the_code(row: str, sizes: list[int]) -> None:
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {row}")]
    most = line.split("|")[2]
    assert [one for one in map(size, sizes) if one not in most] == []
