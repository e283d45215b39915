import pytest

from controller.model import Network, Spire, TrustKeys
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
        ("K8GENTAI_SPIRE_JWKS_URL", "http://keys.spire.svc/keys"),
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


def test_spire_is_there_when_the_operator_is_told_where_its_keys_are() -> None:
    told = {**LEAST, "K8GENTAI_SPIRE_JWKS_URL": "https://keys.spire.svc/keys"}

    assert Settings.of(LEAST).spire is None
    assert Settings.of(told).spire == Spire(
        trust_domain="k8gentai.local",
        jwks_url="https://keys.spire.svc/keys",
        ca_file="/etc/k8gentai/spire/ca.crt",
    )
    everything = {
        "K8GENTAI_TRUST_DOMAIN": "example.org",
        "K8GENTAI_SPIRE_CA_FILE": "",
        "K8GENTAI_SPIRE_CLASS": "mine",
    }
    assert Settings.of({**told, **everything}).spire == Spire(
        trust_domain="example.org", jwks_url="https://keys.spire.svc/keys", class_name="mine"
    )


def test_the_trust_plane_takes_the_svids_of_the_trust_domain() -> None:
    told = {**LEAST, "K8GENTAI_SPIRE_JWKS_URL": "https://keys.spire.svc/keys"}

    _, spire = Settings.of(told).site(TrustKeys("A", "U", "X"), "https://issuer.example").issuers

    assert spire.issuer == "spiffe://k8gentai.local"
    assert spire.jwks_url == "https://keys.spire.svc/keys"
    assert spire.token_file is None
