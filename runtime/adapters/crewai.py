"""CrewAI: an agent from instructions, or a user's own Crew, Agent or Flow, unchanged.

Source:
    CrewAI 1.15, "Crews", "Agents", "Flows" and "Event Listeners".
"""

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def quiet(environment: MutableMapping[str, str]) -> None:
    """Keep CrewAI to itself: it reads these when it is imported, and asks and tells nobody then.

    It keeps what its tasks came to in a database, and the memory of crews that have one; only the
    temporary directory is writable everywhere.
    """
    environment.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
    environment.setdefault("CREWAI_DISABLE_VERSION_CHECK", "true")
    environment.setdefault("CREWAI_TRACING_ENABLED", "false")
    environment.setdefault("CREWAI_STORAGE_DIR", str(Path(tempfile.gettempdir()) / "crewai"))


quiet(os.environ)

from runtime.adapters.crewai_adapter import build  # noqa: E402  # it imports CrewAI

__all__ = ["build"]
