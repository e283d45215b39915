"""What `up` shows: a line for each change that a person would want to know."""

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from controller.model import Key, Manifest

PATIENCE_SECONDS: Final = 15.0
ON_THE_WAY: Final = frozenset({"Pending", "Progressing", "DependencyNotReady"})
"""Reasons that need nobody: they pass by themselves, so they are told only when it takes long."""


class Screen:
    """Lines on standard error; the answer alone goes to standard output."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = self._told = time.monotonic()
        self._shown: dict[Key, tuple[str, str]] = {}
        self._conditions: dict[Key, dict[str, dict[str, Any]]] = {}

    def say(self, words: str) -> None:
        """A line with the time since the start, in seconds."""
        sys.stderr.write(f"{time.monotonic() - self._began:6.1f}  {words}\n")
        sys.stderr.flush()

    def piece(self, words: str) -> None:
        """A piece of an answer, at once."""
        sys.stdout.write(words)
        sys.stdout.flush()

    def report(self, key: Key, status: Manifest) -> None:
        """Show an object that is ready or not, or drifts, as it did not before."""
        by_type = {one["type"]: one for one in status.get("conditions", ())}
        known, self._conditions[key] = self._conditions.get(key, {}), by_type
        self._report_drift(key, known.get("SchemaDrifted"), by_type.get("SchemaDrifted"))
        ready = by_type.get("Ready")
        if ready is None:
            return
        before = self._shown.get(key)
        now = (ready["status"], f"{ready['reason']}: {ready['message']}")
        self._shown[key] = now
        if before == now:
            return
        if ready["status"] == "True":
            self.say(f"✓ {key.kind} {key.name}  {now[1]}")
        elif ready["reason"] not in ON_THE_WAY:
            self.say(f"✗ {key.kind} {key.name}  {now[1]}")

    def _report_drift(
        self, key: Key, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
    ) -> None:
        if now is None and before is not None:
            self.say(f"✓ {key.kind} {key.name}  the functions are as they were accepted")
        elif now is not None and (before is None or before["message"] != now["message"]):
            self.say(f"! {key.kind} {key.name}  {now['reason']}: {now['message']}")

    def gone(self, key: Key) -> None:
        """Show that nothing is left of an object."""
        self._shown.pop(key, None)
        self._conditions.pop(key, None)
        self.say(f"- {key.kind} {key.name}  gone")

    def waiting(self, keys: Iterable[Key]) -> None:
        """Every now and then, say what is being waited for and why."""
        if time.monotonic() - self._told < PATIENCE_SECONDS:
            return
        self._told = time.monotonic()
        for key in keys:
            self.say(f"· {key.kind} {key.name}  {self._shown.get(key, ('', 'no word yet'))[1]}")

    def is_ready(self, key: Key) -> bool:
        """Whether the object said so last."""
        return self._condition(key, "Ready") == "True"

    def is_stalled(self, key: Key) -> bool:
        """Whether a person has to do something first."""
        return self._condition(key, "Stalled") == "True"

    def why_not(self, key: Key) -> str:
        """What the object said last."""
        return f"{key.kind} {key.name} is not ready: {self._shown.get(key, ('', 'no word'))[1]}"

    def show_curl(self, url: str, model: str) -> None:
        """A line to paste."""
        body = f'{{"model": "{model}", "input": "What is 17 + 25?", "stream": true}}'
        self.say(f"ready {url}")
        self.say(f"try: curl -N {url}/v1/responses -H 'content-type: application/json' -d '{body}'")
        self.say("Ctrl-C stops everything")

    def _condition(self, key: Key, kind: str) -> str:
        condition: dict[str, str] = self._conditions.get(key, {}).get(kind, {})
        return condition.get("status", "")
