"""What a grant says of a task or a call, found by whoever asks for it and by whoever checks it."""

from runtime.contract.messages import Call, Message, Role, Task
from runtime.contract.txn_token import Work, call_digest, digest


def task_work(task: Task) -> Work:
    """A task and a digest of its input; its history and options may change while it waits."""
    return Work(task.id, _input_digest(task.input))


def call_work(call: Call) -> Work:
    """A call of a tool and a digest of the function and its arguments."""
    return Work(call.id, call_digest(call.function, call.arguments))


def ask_work(call: Call) -> Work:
    """A call of an agent, by its key, and a digest of the input of the task that it becomes."""
    said = Message(role=Role.USER, text=str(call.arguments["input"]))
    return Work(call.id, _input_digest((said,)))


def _input_digest(said: tuple[Message, ...]) -> str:
    return digest([[one.role.value, one.text] for one in said])
