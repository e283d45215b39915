"""What an operator writes of Tools, and readers of another version."""

from runtime.contract.catalogue import ToolEntry
from runtime.contract.value import ObjectName

NAME = ObjectName(namespace="team", name="add")


def test_an_entry_without_a_word_on_how_it_is_can_be_read() -> None:
    """An earlier operator wrote it."""
    entry = ToolEntry.decode(b'{"schema":1,"tool":{"namespace":"team","name":"add"},"ready":true}')

    assert entry == ToolEntry(tool=NAME, ready=True, reason="", message="")


def test_an_entry_says_nothing_that_an_earlier_reader_refuses() -> None:
    """It reads what is of its schema, and ignores what it does not know."""
    written = ToolEntry(tool=NAME, reason="CrashLoop", message="worker stopped").encode()

    assert b'"schema":1' in written
