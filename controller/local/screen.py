"""What `up` shows: a line for each change that a person would want to know."""

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.model import Key, Manifest

PATIENCE_SECONDS: Final = 5.0
STARTING_SECONDS: Final = 15.0
"""How long it may take until it is told, while everything is only being started."""
PROGRESSING: Final = "Progressing"
ON_THE_WAY: Final = frozenset({"Pending", PROGRESSING, "DependencyNotReady"})
"""Reasons that mostly pass by themselves, so they are told only when it takes long."""


class Screen:
    """Lines on standard error; the answer alone goes to standard output.

    An object that is ready is marked ✓, one that somebody has to mend ✗, one on its way ·, one
    that drifts !, one that is gone -.

    Units:
        `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._shown: dict[Key, tuple[str, str]] = {}
        self._since: dict[Key, tuple[str, float]] = {}
        self._same: dict[Key, tuple[str, float]] = {}
        self._told: dict[Key, set[str]] = {}
        self._marked: dict[Key, tuple[str, str]] = {}
        self._conditions: dict[Key, dict[str, dict[str, Any]]] = {}

    def say(self, words: str) -> None:
        """A line with the time since the start, in seconds."""
        sys.stderr.write(f"{self._clock() - self._began:6.1f}  {words}\n")
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
        is_ready, reason = ready["status"] == "True", ready["reason"]
        self._note(key, now[1], "" if is_ready else reason)
        if before == now:
            return
        if is_ready:
            self._mark("✓", key, now[1])
        elif reason not in ON_THE_WAY:
            self._mark("✗", key, now[1])
        elif reason == PROGRESSING and before is not None and before[0] == "True":
            # It worked and now it does not, which nobody has to wait for to be sure of.
            self._told[key] = {reason, now[1]}
            self._mark("·", key, now[1])

    def _mark(self, mark: str, key: Key, words: str) -> None:
        """Show how an object is, unless the last line of it said that already."""
        if self._marked.get(key) != (mark, words):
            self._marked[key] = (mark, words)
            self.say(f"{mark} {key.kind} {key.name}  {words}")

    def _report_drift(
        self, key: Key, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
    ) -> None:
        if now is None and before is not None:
            self.say(f"✓ {key.kind} {key.name}  the functions are as they were accepted")
        elif now is not None and (before is None or before["message"] != now["message"]):
            self.say(f"! {key.kind} {key.name}  {now['reason']}: {now['message']}")

    def _note(self, key: Key, words: str, reason: str) -> None:
        """Since when it is not ready for this reason, and in these words; "" when it is ready."""
        if not reason:
            self._told.pop(key, None)
        for since, said in ((self._since, reason), (self._same, words)):
            if since.get(key, ("", 0.0))[0] != said:
                since[key] = (said, self._clock())

    def gone(self, key: Key) -> None:
        """Show that nothing is left of an object."""
        kept = (self._shown, self._conditions, self._since, self._same, self._told, self._marked)
        for known in kept:
            known.pop(key, None)
        self.say(f"- {key.kind} {key.name}  gone")

    def tell_lasting(self, *, starting: bool) -> None:
        """Say what is not ready for long: once for each reason, and again in words that stay."""
        now, patience = self._clock(), STARTING_SECONDS if starting else PATIENCE_SECONDS
        together: dict[str, list[str]] = {}
        for key, since in self._since.items():
            told = self._told.setdefault(key, set())
            lasting = {said for said, at in (since, self._same[key]) if now - at >= patience}
            if since[0] in ON_THE_WAY and lasting - told:
                words = self._shown[key][1]
                told |= {since[0], words}
                self._marked[key] = ("·", words)
                together.setdefault(words, []).append(f"{key.kind} {key.name}")
        for words, names in together.items():
            self.say(f"· {', '.join(names)}  {words}")

    def is_ready(self, key: Key) -> bool:
        """Whether the object said so last."""
        return self._condition(key, "Ready") == "True"

    def is_stalled(self, key: Key) -> bool:
        """Whether a person has to do something first."""
        return self._condition(key, "Stalled") == "True"

    def why_not(self, key: Key) -> str:
        """What the object said last."""
        return f"{key.kind} {key.name} is not ready: {self._shown.get(key, ('', 'no word'))[1]}"

    def show_curl(self, url: str, model: str, question: str, *, has_auth: bool = False) -> None:
        """A line to paste; with `has_auth`, TOKEN has to be set to the user's."""
        body = json.dumps({"model": model, "input": question, "stream": True})
        said = shlex.quote(body)
        proof = '-H "authorization: Bearer $TOKEN" ' if has_auth else ""
        self.say(
            f"try: curl -N {url}/v1/responses {proof}-H 'content-type: application/json' -d {said}"
        )

    def _condition(self, key: Key, kind: str) -> str:
        condition: dict[str, str] = self._conditions.get(key, {}).get(kind, {})
        return condition.get("status", "")
