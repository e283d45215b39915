"""The operations of an HTTP API, as its OpenAPI document describes them.

Source:
    RFC 9110: methods, redirects (section 15.4), `Retry-After`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import httpx

from runtime.contract.agent_config import HttpApi, SideEffects, ToolConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.call_context import CALL_DEADLINE, token_headers
from runtime.tools.errors import EffectUnknown, ResultTooLarge
from runtime.tools.executor import MAX_RESULT_BYTES, Say
from runtime.tools.http_request import HttpRequest, request_of
from runtime.tools.http_response import Answer, is_readable, result_of, wait_of
from runtime.tools.openapi import Offer, offer_of
from runtime.tools.port import ToolFailure
from runtime.tools.unreachable import no_connection

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5.0
DOCUMENT_SECONDS: Final = 30.0
MAX_DOCUMENT_BYTES: Final = 8 * 1024 * 1024
LOOK_AGAIN_SECONDS: Final = 30.0
FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 10.0
MOST_REDIRECTS: Final = 5
LOST_ON_THE_WAY: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
"""With these a proxy says that it does not know what became of the request."""


class _Unreadable(Exception):
    """The document cannot be had; a sentence says why."""


class HttpTool:
    """An `Executor` of the operations that a document describes; it is read again now and then."""

    def __init__(self, config: ToolConfig, api: HttpApi, say: Say) -> None:
        self._config = config
        self._api = api
        self._say = say
        self._where = f"the document at {api.url}" if api.url else "the document in the ConfigMap"
        self._offer = Offer(problem=f"spec.http.openapi: {self._where} was not read yet")
        self._read: tuple[str, str | None] | None = None
        self._client = _client()

    @property
    def functions(self) -> tuple[FunctionSpec, ...]:
        """What can be called."""
        return tuple(one.operation.spec for one in self._offer.endpoints.values())

    def why_not(self) -> str | None:
        """What of the wanted cannot be called, in one sentence."""
        return self._offer.problem

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep to the document for as long as the body runs."""
        async with self._client:
            keeping = asyncio.create_task(self._keep(), name=self._where)
            try:
                yield
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)

    async def call(self, function: str, arguments: dict[str, Any], key: str) -> Any:
        """Ask for one operation: its JSON, or its text.

        The API finds `key` in the header `Idempotency-Key`, unless the method only reads. A 429 or
        503 that says when to come again (`Retry-After`) is waited for, as often as
        `spec.retryPolicy.maxAttempts` allows and within the deadline, where the operation may be
        repeated at all.

        Raises:
            EffectUnknown: the connection was lost in the middle of what changes something.
            ResultTooLarge: it was carried out, but what it gave is too much.
            ToolFailure: wrong arguments, an API out of reach, or one that refuses.
        """
        endpoint = self._offer.endpoints.get(function)
        if endpoint is None:
            raise ToolFailure(self.why_not() or f"{self._where} has no operation {function}")
        request = request_of(endpoint, endpoint.schema.check(arguments), key)
        is_safe = endpoint.operation.is_safe
        once = not is_safe and self._config.side_effects is SideEffects.AT_MOST_ONCE
        attempts = 1 if once else self._config.retry.max_attempts
        answer = await self._answer(function, request, is_safe=is_safe)
        for _ in range(1, attempts):
            wait, now = wait_of(answer, time.time()), time.time()
            if wait is None or now + wait >= CALL_DEADLINE.get():
                break
            await asyncio.sleep(wait)
            answer = await self._answer(function, request, is_safe=is_safe)
        if answer.status in LOST_ON_THE_WAY and not is_safe:
            raise EffectUnknown(f"{function} was lost on the way to the API ({answer.said})")
        return result_of(function, answer)

    async def _answer(self, function: str, request: HttpRequest, *, is_safe: bool) -> Answer:
        """Send, and follow redirects that stay where they are."""
        headers = request.headers | await token_headers()
        sent = self._client.build_request(
            request.method, request.url, headers=headers, content=request.content
        )
        try:
            for _ in range(MOST_REDIRECTS):
                answer, following = await self._exchange(function, sent)
                if following is None:
                    return answer
                if _origin(following.url) != _origin(sent.url):
                    raise ToolFailure(
                        f"{function} failed: the API redirects to {_origin(following.url)}, and "
                        "another host is not followed; spec.http.baseUrl of the Tool can name it"
                    )
                sent = following
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ToolFailure(
                f"{function} failed: the API at {_origin(sent.url)} cannot be reached: "
                f"{no_connection(error)}"
            ) from error
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            if is_safe:
                raise ToolFailure(f"{function} failed: the API was lost: {said}") from error
            raise EffectUnknown(f"the API was lost while it ran {function}: {said}") from error
        raise ToolFailure(f"{function} failed: the API redirects in a circle")

    async def _exchange(
        self, function: str, request: httpx.Request
    ) -> tuple[Answer, httpx.Request | None]:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            content_type = response.headers.get("content-type", "")
            packed = response.headers.get("content-encoding", "identity") != "identity"
            body, is_whole = None, True
            is_empty = response.headers.get("content-length") == "0"
            if is_empty or (is_readable(content_type) and not packed):
                body, is_whole = await _beginning(response, MAX_RESULT_BYTES)
        finally:
            await response.aclose()
        if response.is_success and not is_whole:
            raise ResultTooLarge(
                f"{function} was carried out, but returned more than {MAX_RESULT_BYTES} bytes; ask "
                "for less at once, if it lets you"
            )
        kind = f"{content_type}, packed" if packed else content_type
        return Answer(response.status_code, kind, body, response.headers), response.next_request

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                await self._look()
                delay, failures = LOOK_AGAIN_SECONDS, 0
            except Exception as error:  # noqa: BLE001 # whatever a document may hold, try again
                problem = f"spec.http.openapi: {_sentence(error, self._where)}"
                log.warning(problem)
                delay = min(FIRST_DELAY_SECONDS * 2.0**failures, LONGEST_DELAY_SECONDS)
                failures = min(failures + 1, 10)
                if self._read is None:  # what was read once still says how the API is called
                    self._offer = Offer(problem=problem)
            if self._offer.problem is not None:
                delay = min(delay, LONGEST_DELAY_SECONDS)
            await self._say(self.functions, self._offer.problem)
            await asyncio.sleep(delay)

    async def _look(self) -> None:
        text, url = await self._document()
        if (text, url) != self._read:
            # A long document would block the loop for seconds.
            self._offer = await asyncio.to_thread(
                offer_of, text, self._api, where=self._where, url=url
            )
            self._read = text, url

    async def _document(self) -> tuple[str, str | None]:
        """The text of the document, and the address it came from, if it has one."""
        if self._api.path is not None:
            return await asyncio.to_thread(_text_of, Path(self._api.path)), None
        url = str(self._api.url)
        try:
            async with (
                asyncio.timeout(DOCUMENT_SECONDS),
                self._client.stream("GET", url, follow_redirects=True) as response,
            ):
                data, is_whole = await _beginning(response, MAX_DOCUMENT_BYTES)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Unreadable(
                f"{self._where} cannot be read: {no_connection(error)}; start what serves it, or "
                "correct spec.http.openapi.url"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            said = str(error) or "it takes too long"
            raise _Unreadable(f"{self._where} cannot be read: {said}") from error
        if not response.is_success:
            raise _Unreadable(f"{self._where} cannot be read: {response.status_code} is answered")
        if not is_whole:
            raise _Unreadable(f"{self._where} is larger than {MAX_DOCUMENT_BYTES} bytes")
        return data.decode(errors="replace"), str(response.url)


def _sentence(error: Exception, where: str) -> str:
    if isinstance(error, _Unreadable):
        return str(error)
    return f"{where} cannot be used: {type(error).__name__}: {error}"


def _client() -> httpx.AsyncClient:
    """A client that keeps nothing from one call to the next but its connections."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # the worker has an eye on the time
        limits=httpx.Limits(max_connections=None),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": "k8gentai", "Accept-Encoding": "identity"},
    )


async def _beginning(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """The body, at most so many bytes of it, and whether that is all."""
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > most:
            return bytes(data[:most]), False
    return bytes(data), True


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        missing = f"there is no key {path.name} in the ConfigMap"
        raise _Unreadable(f"configMapRef: {missing}: {error.strerror}") from error
