"""How a worker proves to its Stack's server who asks for a model.

The clients of models that frameworks bring, and those in a user's own code, take one key when they
are made; the workload's token is another one every hour. What they all have in common is the
library that sends their requests, httpx or what it is called since, so it is added there.
"""

import functools
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from runtime.contract.agent_config import Model
from runtime.identity.token_file import TokenFile

LIBRARIES: Final = ("httpx", "httpx2")


def prove_to_server(model: Model) -> None:
    """Let all that this process asks of the server carry the token as it then is in its file.

    What is sent elsewhere stays as it is; a server that asks for no token is sent none.
    """
    if model.token_file is not None:
        _prove(model.base_url.removesuffix("v1"), model.token_file)


@functools.cache  # a worker builds its agent anew whenever its tools change
def _prove(root: str, token_file: str) -> None:
    proof = TokenFile(token_file)
    for library in filter(find_spec, LIBRARIES):
        module = import_module(library)
        for kind in (module.Client, module.AsyncClient):
            kind.send = _proving(kind.send, root, proof)


def _proving(send: Callable[..., Any], root: str, proof: TokenFile) -> Callable[..., Any]:
    @functools.wraps(send)
    def proving(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if str(request.url).startswith(root):
            request.headers["Authorization"] = f"Bearer {proof.read().token}"
        return send(client, request, *args, **kwargs)

    return proving
