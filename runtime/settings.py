"""What a process of ours is told by its environment, read once."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process.

    Shape:
        config           path of the JSON (for `serve`: YAML) that the operator wrote.
        host             address on which health is served.
        drain_seconds    how long work that is under way may take to end once we are asked to stop.
        termination_log  where the one sentence goes that says why a process cannot start.
        process          DNS label that no other process has.
    """

    config: Path
    host: str
    health_port: int
    drain_seconds: float
    termination_log: Path
    process: str

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings in `environment`.

        Raises:
            ValueError: one is missing or makes no sense; the message names it.
        """
        config = environment.get("K8GENTAI_CONFIG")
        if not config:
            raise ValueError("K8GENTAI_CONFIG is not set; it is the path of this process' config")
        return cls(
            config=Path(config),
            host=environment.get("K8GENTAI_HOST", "0.0.0.0"),  # noqa: S104 - a pod's own address
            health_port=_number(environment, "K8GENTAI_HEALTH_PORT", 8081),
            drain_seconds=_number(environment, "K8GENTAI_DRAIN_SECONDS", 25),
            termination_log=Path(environment.get("K8GENTAI_TERMINATION_LOG", TERMINATION_LOG)),
            process=secrets.token_hex(5),
        )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdigit():
        raise ValueError(f"{name} is {text!r}; it has to be a whole number")
    return int(text)
