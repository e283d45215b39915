"""BeeAI logs where everybody else does."""

import logging

import pytest
from beeai_framework.backend import chat
from beeai_framework.logger import Logger

from runtime.adapters.beeai_logging import log_with_the_rest


def test_what_beeai_logs_is_a_record_like_any_other(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat, "logger", Logger(chat.__name__))
    chat.logger.error("it prints this by itself")
    assert "it prints this by itself" in capfd.readouterr().out

    log_with_the_rest()
    with caplog.at_level(logging.ERROR):
        chat.logger.error("no such model")

    assert caplog.record_tuples == [(chat.__name__, logging.ERROR, "no such model")]
    assert "no such model" not in "".join(capfd.readouterr())
