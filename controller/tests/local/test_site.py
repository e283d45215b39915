"""Where things are in embedded mode."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from controller.local import site
from controller.local.site import OWN_PORTS, EmbeddedSite, ModelEndpoint, Ports, free_port
from controller.model import TrustKeys

SITE = EmbeddedSite(
    root=Path("/state"),
    issuers=(),
    trust_keys=TrustKeys("A", "U", "X"),
    model=ModelEndpoint("http://127.0.0.1:1/v1"),
    ports=Ports({"server team/default": 1001, "server other/default": 1002}),
)


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("http://stack-default:8321/openapi.json", "http://127.0.0.1:1001/openapi.json"),
        ("http://stack-default.other:8321", "http://127.0.0.1:1002"),
        ("http://stack-default.other.svc:8321/v1", "http://127.0.0.1:1002/v1"),
        ("http://stack-default.team.svc.cluster.local:8321/", "http://127.0.0.1:1001/"),
        ("http://stack-default.other.svc.example:8321/", None),
        ("http://stack-default:83210/", None),
        ("https://stack-default:8321/", None),
        ("http://weather:8080/openapi.json", None),
    ],
)
def test_the_service_of_a_stacks_server_is_a_port_of_this_machine(
    url: str, reached: str | None
) -> None:
    assert SITE.reachable(url, "team") == (reached or url)


def test_a_free_port_can_be_taken_and_is_no_port_of_connections() -> None:
    port = free_port()

    with socket.create_server(("127.0.0.1", port)):
        assert port in OWN_PORTS


def test_what_another_process_has_found_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    look = "from controller.local.site import free_port; print(free_port(), flush=True); input()"
    command = [sys.executable, "-c", look]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        monkeypatch.setattr(site, "OWN_PORTS", [int(other.stdout.readline())])
        monkeypatch.setattr(site, "TRIES", 1)
        with pytest.raises(OSError, match="none is free"):
            free_port()
        other.communicate(b"\n")

    assert free_port() in site.OWN_PORTS


def test_what_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", port := free_port())):
        monkeypatch.setattr(site, "OWN_PORTS", [port])
        monkeypatch.setattr(site, "TRIES", 1)
        with pytest.raises(OSError, match="none is free"):
            free_port()
