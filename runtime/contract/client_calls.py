"""Functions that the client of a run brings along, and the calls that it is to make of them.

A run that needs outputs of its client is parked, as one that needs a person is, and the response so
far has ended. What the client gives begins another response of the same run.
"""

from typing import Any

from runtime.contract.value import Value


class ClientFunction(Value):
    """A function that the client of a run calls by itself.

    Shape:
        name        letters, digits, `_` and `-`; unique among all that the agent may call.
        parameters  the JSON schema of its arguments object.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any]


class ClientCall(Value):
    """One call that the client is to make.

    Shape:
        key        names the call in its run: a rerun makes the same one, and so finds the output.
        function   by its name; `arguments`: the JSON object as text.
        output     what the client gave, as the model reads it; null until then.
    """

    key: str
    function: str
    arguments: str
    output: str | None = None
