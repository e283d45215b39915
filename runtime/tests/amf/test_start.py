"""What a server does before it serves."""

import os
import socket
from pathlib import Path

import pytest

from runtime.amf import start
from runtime.amf.database import FIELD, URL
from runtime.amf.start import DatabaseSilent, reach_database
from runtime.settings import Settings

NAMED = "spec.storage.postgres.urlSecretRef (key url of the Secret db)"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server sets for its drivers goes with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.of(
        {
            "K8GENTAI_CONFIG": str(tmp_path / "run.yaml"),
            "K8GENTAI_HOST": "127.0.0.1",
            "K8GENTAI_HEALTH_PORT": "0",
        }
    )


def test_a_database_that_stays_away_is_named_in_the_end(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the Stack has to hear of it, and only a process that ends is heard."""
    monkeypatch.setattr(start, "PATIENCE", 3)
    monkeypatch.setattr(start, "RETRY_SECONDS", 0.01)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and listens to nobody
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        os.environ |= {URL: f"postgresql://app:s3cret@{where}/agents", FIELD: NAMED}

        with pytest.raises(DatabaseSilent) as told:
            reach_database(settings, tmp_path)

    assert str(told.value).startswith(f"the database agents at {where} cannot be reached: ")
    assert str(told.value).endswith(f"; see {NAMED}")
    assert "s3cret" not in str(told.value)


def test_a_stack_without_a_database_waits_for_none(settings: Settings, tmp_path: Path) -> None:
    before = dict(os.environ)

    reach_database(settings, tmp_path)

    assert dict(os.environ) == before
