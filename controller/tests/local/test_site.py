"""Where things are in embedded mode."""

from pathlib import Path

import pytest

from controller.local.site import EmbeddedSite, ModelEndpoint, Ports
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
