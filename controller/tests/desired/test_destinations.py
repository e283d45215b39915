from typing import Any

import pytest

from controller.desired.destinations import NEVER, destinations


def service(namespace: str) -> dict[str, Any]:
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return {"to": [{"namespaceSelector": selector}]}


def outside(port: int) -> dict[str, Any]:
    """Every address that is neither of the cluster nor hands out credentials."""
    fours = [one for one in NEVER if ":" not in one]
    sixes = [one for one in NEVER if ":" in one]
    return {
        "to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": [*fours, "10.244.0.0/16"]}},
            {"ipBlock": {"cidr": "::/0", "except": sixes}},
        ],
        "ports": [{"port": port, "protocol": "TCP"}],
    }


def one_address(cidr: str, port: int) -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": port, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        pytest.param("http://vllm:8000/v1", [service("team")], id="a Service beside it"),
        pytest.param("http://api.shop.svc", [service("shop")], id="a Service elsewhere"),
        pytest.param("http://api.shop.svc.cluster.local.", [service("shop")], id="in full"),
        pytest.param("nats://nats-0.peers.shop.svc", [service("shop")], id="one pod of it"),
        pytest.param("http://api.shop", [service("shop"), outside(80)], id="or a host"),
        pytest.param("https://api.example.com/v1", [outside(443)], id="a host"),
        pytest.param("https://API.example.com:8443", [outside(8443)], id="a port of its own"),
        pytest.param("tls://nats.example.com", [outside(4222)], id="a queue"),
        pytest.param("https:", [outside(443)], id="whatever the provider's library asks"),
        pytest.param("http://10.1.2.3:8000", [one_address("10.1.2.3/32", 8000)], id="IPv4"),
        pytest.param("http://[2001:db8::1]", [one_address("2001:db8::1/128", 80)], id="IPv6"),
        pytest.param(
            "nats://a.shop.svc:4222,nats://10.0.0.1",
            [service("shop"), one_address("10.0.0.1/32", 4222)],
            id="several",
        ),
        pytest.param("http://169.254.169.254/latest", [], id="credentials of the machine"),
        pytest.param("http://[::ffff:169.254.169.254]/", [], id="the same in IPv6"),
        pytest.param("http://[fd00:ec2::254]/", [], id="the same of AWS"),
        pytest.param("http://127.0.0.1:9000", [], id="its own pod"),
        pytest.param("http://example.com:99999", [], id="no port"),
        pytest.param("http://[nonsense", [], id="no address"),
    ],
)
def test_where_an_address_leads(url: str, rules: list[dict[str, Any]]) -> None:
    assert [one.targets for one in destinations(url, "team", ("10.244.0.0/16",))] == rules
