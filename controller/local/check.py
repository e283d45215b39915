"""`k8gentai check`: the conformance kit in its framework's environment, with models to ask."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.api.agent import Framework
from controller.desired.agent import IMAGE_BY_FRAMEWORK
from controller.local.aside import STAND_IN
from controller.local.environments import ROOT, Environments, Say
from controller.local.processes import Command, LocalProcess
from controller.local.programs import Probe, Program, import_path, overrides
from controller.local.site import HOST, free_port
from controller.model import Image

READY_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 0.1
PROVIDER: Final = "small"
STAND_IN_MODEL: Final = "stand-in"


class CannotCheck(Exception):
    """There is nothing to check the agent with; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What `check` is to do.

    Shape:
        entrypoint  `module:name`, or None for an agent from instructions.
        path        folder with the module.
        model_base_url, model   of the user's own, in place of the stand-in, or None; for Llama
                                Stack it has to serve the Responses API.
        report      file for the report as JSON, or None.
    """

    framework: Framework
    entrypoint: str | None = None
    path: Path = Path()
    model_base_url: str | None = None
    model: str | None = None
    report: Path | None = None


async def check(options: CheckOptions, say: Say) -> int:
    """Check one agent; gives the kit's exit code.

    Raises:
        NoEnvironment: one could not be made.
        CannotCheck: a model to ask did not start.
    """
    environments = Environments(say)
    worker = IMAGE_BY_FRAMEWORK[options.framework]
    servers = [Image.SERVER] if options.framework is Framework.LLAMA_STACK else []
    python, *_ = await asyncio.gather(*map(environments.python, (worker, *servers)))
    with tempfile.TemporaryDirectory(prefix="k8gentai-") as folder:
        async with _models(options.framework, environments, Path(folder)) as (url, model):
            say(f"checking {options.entrypoint or 'an agent from instructions'} in {worker}")
            asked = kit_arguments(options, url, model)
            process = await asyncio.create_subprocess_exec(
                python, "-m", "runtime", "check", *asked, env=_environment(Path(folder))
            )
            try:
                return await process.wait()
            finally:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()


def kit_arguments(options: CheckOptions, stand_in: str, model: str) -> list[str]:
    """What the kit is told; `stand_in` is the address of the stand-in, `model` its name there."""
    given = {
        "--framework": options.framework,
        "--path": options.path,
        "--stand-in": stand_in,
        "--stand-in-model": model,
        "--model-base-url": options.model_base_url,
        "--model": options.model,
        "--report": options.report,
    }
    asked = [f"{name}={value}" for name, value in given.items() if value is not None]
    return asked if options.entrypoint is None else [options.entrypoint, *asked]


@contextlib.asynccontextmanager
async def _models(
    framework: Framework, environments: Environments, folder: Path
) -> AsyncIterator[tuple[str, str]]:
    """The stand-in model, as the framework wants it: its address and its name."""
    async with contextlib.AsyncExitStack() as stack:
        port = free_port()
        command = (sys.executable, str(STAND_IN), "--host", HOST, "--port", str(port))
        await stack.enter_async_context(_running("model", command, port, "/health", folder))
        url = f"http://{HOST}:{port}/v1"
        if framework is not Framework.LLAMA_STACK:
            yield url, STAND_IN_MODEL
            return
        config, port = folder / "run.yaml", free_port()
        config.write_text(json.dumps(responses_server(url, folder)))  # JSON is YAML
        llama = Path(await environments.python(Image.SERVER)).with_name("llama")
        command = (str(llama), "stack", "run", str(config), "--port", str(port))
        await stack.enter_async_context(_running("server", command, port, "/v1/health", folder))
        yield f"http://{HOST}:{port}/v1", f"{PROVIDER}/{STAND_IN_MODEL}"


@contextlib.asynccontextmanager
async def _running(
    name: str, command: tuple[str, ...], port: int, health: str, folder: Path
) -> AsyncIterator[None]:
    """A program from when it is ready on."""
    probe = Probe(port=port, path=health)
    process = LocalProcess(
        Program(
            name=name, image=None, command=command, environment={}, probe=probe, grace_seconds=5
        ),
        Command(
            argv=command,
            environment=os.environ,
            folder=folder,
            log_file=folder / f"{name}.log",
            termination_log=folder / f"{name}.end",
        ),
        on_change=lambda: None,
    )
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while not process.seen.ready and not process.seen.restarts:  # noqa: ASYNC110 - both are the process' own
                    await asyncio.sleep(LOOK_SECONDS)
        if not process.seen.ready:
            why = process.seen.message or process.seen.last_words or "it says nothing"
            raise CannotCheck(f"the {name} does not start: {why}")
        yield
    finally:
        await process.stop()


def _environment(folder: Path) -> Mapping[str, str]:
    """This process' environment, for a program of ours that runs users' code."""
    path = import_path(str(ROOT), os.environ)
    return {**os.environ, **overrides(str(folder / "end"), path)}


def responses_server(model_url: str, folder: Path) -> dict[str, Any]:
    """A Llama Stack server with nothing but the Responses API over one model.

    Source:
        llama-stack 0.7.3, `core/datatypes.py`, StackConfig.
    """
    kv, sql = "kv", "sql"
    model = {"base_url": model_url, "api_token": "unused"}
    responses = {
        "agent_state": {"namespace": "agents", "backend": kv},
        "responses": {"table_name": "responses", "backend": sql},
    }
    files = {
        "storage_dir": str(folder / "files"),
        "metadata_store": {"table_name": "files", "backend": sql},
    }
    return {
        "version": 2,
        "distro_name": "check",
        "apis": ["inference", "responses", "tool_runtime", "vector_io", "files"],
        "providers": {
            "inference": [_provider(PROVIDER, "remote::vllm", model)],
            "responses": [_provider("builtin", "inline::builtin", {"persistence": responses})],
            "files": [_provider("files", "inline::localfs", files)],
            "tool_runtime": [],
            "vector_io": [],
        },
        "storage": {
            "backends": {
                kv: {"type": "kv_sqlite", "db_path": str(folder / "kv.db")},
                sql: {"type": "sql_sqlite", "db_path": str(folder / "sql.db")},
            },
            "stores": {
                "metadata": {"namespace": "registry", "backend": kv},
                "conversations": {"table_name": "conversations", "backend": sql},
                "prompts": {"namespace": "prompts", "backend": kv},
                "connectors": {"namespace": "connectors", "backend": kv},
                "inference": {"table_name": "inference", "backend": sql},
            },
        },
        "server": {"host": HOST},
    }


def _provider(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"provider_id": name, "provider_type": kind, "config": config}
