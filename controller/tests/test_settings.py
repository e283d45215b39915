import pytest

from controller.model import Network, TrustKeys
from controller.settings import Settings
from runtime.contract.value import ObjectName

LEAST = {
    "K8GENTAI_NAMESPACE": "k8gentai-system",
    "K8GENTAI_SERVICE_ACCOUNT": "k8gentai-operator",
    "K8GENTAI_IMAGE_PREFIX": "registry.example/k8gentai",
    "K8GENTAI_IMAGE_TAG": "1.2.3",
}


@pytest.mark.parametrize("name", sorted(LEAST))
def test_what_has_no_default_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not set"):
        Settings.of({key: value for key, value in LEAST.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("K8GENTAI_HEALTH_PORT", "many"),
        ("K8GENTAI_METRICS_PORT", "-1"),
        ("K8GENTAI_RESYNC_SECONDS", "often"),
        ("K8GENTAI_RESYNC_SECONDS", "0"),
        ("K8GENTAI_RESYNC_SECONDS", "nan"),
        ("K8GENTAI_LOG_LEVEL", "LOUD"),
        ("K8GENTAI_NETWORK_POLICIES", "no"),
        ("K8GENTAI_CLUSTER_CIDRS", "10.244.0.0/16,10.96.0.1/12"),
        ("K8GENTAI_TRUST_DOMAIN", "spiffe://example.org"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is '{value}'"):
        Settings.of({**LEAST, name: value})


def test_a_site_follows_from_the_settings() -> None:
    settings = Settings.of({**LEAST, "K8GENTAI_JWKS_URL": "https://issuer.example/jwks"})

    site = settings.site(TrustKeys("A", "U", "X"), "https://issuer.example")

    assert site.operator == ObjectName(namespace="k8gentai-system", name="k8gentai-operator")
    assert site.namespace == "k8gentai-system"
    assert site.network == Network()
    (issuer,) = site.issuers
    assert (issuer.issuer, issuer.jwks_url) == (
        "https://issuer.example",
        "https://issuer.example/jwks",
    )


def test_policies_may_be_left_out_or_told_what_is_of_the_cluster() -> None:
    assert Settings.of({**LEAST, "K8GENTAI_NETWORK_POLICIES": "false"}).network is None
    told = Settings.of({**LEAST, "K8GENTAI_CLUSTER_CIDRS": "10.244.0.0/16, fd00:10::/56"})
    assert told.network == Network(("10.244.0.0/16", "fd00:10::/56"))
