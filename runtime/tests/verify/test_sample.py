"""The sample of a tool outside of the platform, served by the server that its first lines name."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from controller.local.site import free_port
from runtime.tests.verify.conftest import DOMAIN, Service

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "config" / "samples" / "verify"

pytestmark = pytest.mark.integration


async def test_the_sample_says_in_whose_name_it_acts(service: Service) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "tool:app", "--port", str(port)),
        cwd=SAMPLE,
        env=os.environ | {"JWKS": service.url, "TRUST_DOMAIN": DOMAIN, "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"running on" not in await process.stderr.readline():
                pass
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            refused = await client.post("/")
            answer = await client.post("/", headers={"Txn-Token": service.token()})
    finally:
        process.terminate()
        await process.communicate()
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    said = "spiffe://example.org/ns/team/agent/b for spiffe://example.org/ns/team/agent/a for ada"
    assert answer.json() == {"transferred": said, "txn": "t1"}
