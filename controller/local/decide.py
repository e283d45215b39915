"""`k8gentai approve` and `deny`: one person's word on calls that wait for it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from controller.local.ask import PATIENCE_SECONDS, NoAnswer, answer_of

ID: Final = re.compile(r"resp_([0-9a-f]{32}(?:_[0-9]+)?)|mcpr_([0-9a-f]{32})_[0-9]+")
QUICK_SECONDS: Final = 30


class NotDecided(Exception):
    """Nothing was decided; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person says.

    Shape:
        id      of one approval, `mcpr_…`, or of a response, `resp_…`: of all that it asks for.
        url     of the Stack's server, without `/v1`.
        reason  for the agent, or None.
        token   of the person, where the server asks for one.
    """

    id: str
    approve: bool
    url: str
    reason: str | None = None
    token: str | None = None


async def decide(word: Word, show: Callable[[str], None]) -> None:
    """Give the word, and show the answer of the agent that now goes on.

    Raises:
        NotDecided: the server knows no such approval, it is decided, or nobody answers.
        NoAnswer: it was decided, and the run came to no good end.
    """
    response = _response_of(word.id)
    headers = {"Authorization": f"Bearer {word.token}"} if word.token else {}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS, sock_connect=QUICK_SECONDS)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            async with session.get(f"{word.url}/v1/responses/{response}") as found:
                body = word_body(word, await _json(found))
            async with session.post(f"{word.url}/v1/responses", json=body) as answer:
                if answer.status != HTTPStatus.OK:
                    await _json(answer)
                await answer_of(answer, show)
                show("\n")
    except aiohttp.ClientConnectionError as error:
        message = f"{word.url} does not answer: {error}; name the server by --url"
        raise NotDecided(message) from error
    except TimeoutError as error:
        raise NoAnswer(
            f"there was no answer within {PATIENCE_SECONDS} s; retrieve {response} later"
        ) from error


def _response_of(name: str) -> str:
    match = ID.fullmatch(name)
    if match is None:
        raise NotDecided(
            f"{name!r} is no whole id: that of an approval is mcpr_, 32 hexadecimal digits, _ and "
            "a number, that of a response is resp_ and 32 digits; both stand in the answer that "
            "asks for it"
        )
    return f"resp_{match[1] or match[2]}"


def word_body(word: Word, response: dict[str, Any]) -> dict[str, Any]:
    """The request that gives the word on what `response` asks for.

    In the background, since whoever gives it may go away and the run shall go on.

    Raises:
        NotDecided: it asks for nothing.
    """
    asked = [item["id"] for item in response["output"] if item["type"] == "mcp_approval_request"]
    named = [word.id] if word.id.startswith("mcpr_") else asked
    if not named:
        raise NotDecided(f"{response['id']} asks for no approval: it is {response['status']}")
    said = {"approve": word.approve} | ({"reason": word.reason} if word.reason else {})
    return {
        "model": response["model"],
        "previous_response_id": response["id"],
        "stream": True,
        "background": True,
        "input": [
            {"type": "mcp_approval_response", "approval_request_id": one} | said for one in named
        ],
    }


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    if answer.status == HTTPStatus.OK:
        found: dict[str, Any] = await answer.json()
        return found
    text = await answer.text()
    try:
        message = (await answer.json())["error"]["message"]
    except (ValueError, KeyError, TypeError, aiohttp.ContentTypeError):
        message = text[:500]
    raise NotDecided(f"{answer.status}: {message}")
