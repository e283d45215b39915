"""What stands in the query of a route and is none of its parameters."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query

from runtime.amf.query import ONLY_KNOWN


def app() -> FastAPI:
    router = APIRouter(dependencies=[ONLY_KNOWN])

    @router.get("/things/{thing}")
    async def things(
        thing: str, limit: int = 1, names: Annotated[list[str] | None, Query(alias="name")] = None
    ) -> dict[str, object]:
        return {"thing": thing, "limit": limit, "names": names}

    server = FastAPI()
    server.include_router(router)
    return server


@pytest.mark.parametrize(
    ("query", "param"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("?limit=3&name=a&name=b", None, id="all there is"),
        pytest.param("?limits=3", "limits", id="a slip"),
        pytest.param("?names=a", "names", id="a name of our own"),
        pytest.param("?thing=a", "thing", id="what stands in the path"),
        pytest.param("?after", "after", id="no value"),
    ],
)
async def test_what_is_not_understood_is_refused_by_its_name(query: str, param: str | None) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app()), base_url="http://here"
    ) as client:
        answer = await client.get(f"/things/a{query}")

    assert answer.status_code == (200 if param is None else 400)
    if param is not None:
        assert f"{param} is no parameter here; there is limit, name." in answer.text
