import json
import logging
import sys
from typing import Any

from controller.logs import JsonLines


def line(**extra: Any) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {
            "name": "controller.wake",
            "levelname": "WARNING",
            "msg": "not %s",
            "args": ("now",),
            "created": 1795366800.25,
            **extra,
        }
    )
    text = JsonLines().format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_record_is_one_object_with_the_context_of_its_caller() -> None:
    assert line(object="Agent team/math", error="ü\nsecond line") == {
        "time": "2026-11-22T17:00:00.250Z",
        "level": "WARNING",
        "logger": "controller.wake",
        "message": "not now",
        "object": "Agent team/math",
        "error": "ü\nsecond line",
    }


def test_what_kopf_adds_becomes_the_object_it_speaks_of() -> None:
    reference = {"kind": "Agent", "namespace": "team", "name": "math", "uid": "u"}

    told = line(k8s_ref=reference, k8s_skip=True, settings=object())

    assert told["object"] == "Agent team/math"
    assert not {"k8s_ref", "k8s_skip", "settings"} & told.keys()


def test_an_exception_is_told_with_its_way() -> None:
    told = {}
    try:
        int("no number")
    except ValueError:
        told = line(exc_info=sys.exc_info())

    assert "no number" in told["exception"]
    assert "test_logs" in told["exception"]
