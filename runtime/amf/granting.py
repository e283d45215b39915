"""In whose name a run is accepted: its user grants it, by the token that he has just shown."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from runtime.amf.errors import Forbidden, out_of_reach
from runtime.contract.agent_config import TokenAccess
from runtime.contract.runs import RunRecord
from runtime.contract.work import task_work
from runtime.identity.exchange import NotGranted, ServiceAway, TokenClient, payload

_SHOWN: ContextVar[str | None] = ContextVar("shown_token", default=None)


@contextlib.contextmanager
def shown(token: str) -> Iterator[None]:
    """Let runs that are accepted in the body be those of whoever has shown this access token.

    It is exchanged for grants and goes nowhere else.
    """
    before = _SHOWN.set(token)
    try:
        yield
    finally:
        _SHOWN.reset(before)


class Granting:
    """Gives runs their grants; where everybody is let in, there are none."""

    def __init__(self, access: TokenAccess | None) -> None:
        self._tokens = None if access is None else TokenClient(access)
        self._seconds = None if access is None else access.grant_seconds

    def close(self) -> None:
        """Close what is open to the service."""
        if self._tokens is not None:
            self._tokens.close()

    async def granted(self, record: RunRecord) -> RunRecord:
        """The record with the grant of its task.

        Raises:
            Forbidden: the token of this request carries no such run.
            OutOfReach: nobody can say for now.
        """
        if self._tokens is None:
            return record
        task, token = record.task, _SHOWN.get()
        if token is None:
            raise Forbidden("Nobody has shown a token in whose name this could run.")
        try:
            grant = await self._tokens.task_grant(
                token,
                task.stack,
                task.agent,
                task_work(task),
                until=None if self._seconds is None else task.created + self._seconds,
            )
        except NotGranted as error:
            raise Forbidden(f"{task.agent.name} may not be asked: {error}.") from error
        except ServiceAway as error:
            raise out_of_reach("nobody can say for now whether this may run") from error
        if _claim(grant, "sub") != task.user:
            raise Forbidden("The token that was shown is not that of the user of this run.")
        return record.model_copy(update={"task": task.model_copy(update={"grant": grant})})


def _claim(jwt: str, name: str) -> Any:
    try:
        return payload(jwt).get(name)
    except ValueError:
        return None
