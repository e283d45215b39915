"""Logs of the operator: one JSON object a line, with the context the caller gave as `extra`."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, override

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_KOPF: Final = frozenset({"k8s_ref", "k8s_skip", "settings"})


class JsonLines(logging.Formatter):
    """Turns a record into one line of JSON."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Shape: `time` (RFC 3339, UTC), `level`, `logger`, `message`, then the context."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (ref := getattr(record, "k8s_ref", None)) is not None:
            line["object"] = f"{ref.get('kind')} {ref.get('namespace')}/{ref.get('name')}"
        line |= {
            name: value
            for name, value in vars(record).items()
            if name not in _STANDARD and name not in _KOPF
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Let everything that is logged in this process go to standard error as JSON lines.

    kopf says at INFO that it has called a handler, aiohttp that somebody asked for our health; that
    is worth a line only when debugging.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for name in ("kopf", "aiohttp.access"):
            logging.getLogger(name).setLevel(logging.WARNING)
