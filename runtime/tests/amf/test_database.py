"""The address of a database, as a Secret may hold it."""

from pathlib import Path

import pytest

from runtime.amf.database import CA, FIELD, URL, Address, BadAddress, told_address

SECRET = "s3cret/@"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (
            "postgresql://app:s3cret%2F%40@db:5433/agents?sslmode=require",
            Address(
                host="db",
                port=5433,
                name="agents",
                user="app",
                password=SECRET,
                ssl_mode="require",
            ),
        ),
        (
            "postgres://app@[::1]/agents\n",
            Address(host="::1", port=5432, name="agents", user="app", password=None, ssl_mode=None),
        ),
        (
            "postgresql://a%40b:0123@db.team.svc.cluster.local/x%20y",
            Address(
                host="db.team.svc.cluster.local",
                port=5432,
                name="x y",
                user="a@b",
                password="0123",
                ssl_mode=None,
            ),
        ),
    ],
    ids=["whole", "short", "encoded"],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert Address.of(url) == address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "does not begin with postgresql://"),
        ("mysql://app:s3cret@db/agents", "does not begin with postgresql://"),
        ("db:5432", "does not begin with postgresql://"),
        ("postgresql://app:s3cret@db:many/agents", "its host or port is none"),
        ("postgresql://app:s3cret@db:70000/agents", "its host or port is none"),
        ("postgresql://app:s3cret@[::1/agents", "its host or port is none"),
        ("postgresql://app:s3cret@/agents", "it names no host"),
        ("postgresql://app:s3cret@db/", "it names no database"),
        ("postgresql://app:s3cret@db", "it names no database"),
        ("postgresql://db/agents", "it names no user"),
        ("postgresql://app:s3cret@one,two/agents", "its host is none"),
        ("postgresql://app:s3#cret@db/agents", "in a password that is written %23"),
        ("postgresql://app:s3cret@db/agents/more", "in a password that is written %2F"),
        ("postgresql://app:s3%00cret@db/agents", "it holds %00"),
        ("postgresql://app:s3 cret@db/agents", "has to be percent-encoded"),
        ("postgresql://app:s3cret@db/agents?sslmode=yes", "its sslmode is none of disable"),
        (
            "postgresql://app:s3cret@db/agents?options=-cx&host=/run",
            "only sslmode is known; remove the rest",
        ),
    ],
)
def test_what_is_no_address_is_told_without_showing_it(url: str, message: str) -> None:
    with pytest.raises(BadAddress) as refused:
        told_address({URL: url, FIELD: "spec.storage.postgres.urlSecretRef (key url …)"})

    assert message in str(refused.value)
    assert "spec.storage.postgres.urlSecretRef (key url …)" in str(refused.value)
    assert "s3" not in str(refused.value)


def test_a_stack_without_a_database_is_told_none() -> None:
    assert told_address({}) is None


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_is_verified_with_one_that_is_given(mode: str) -> None:
    told = {URL: f"postgresql://app:x@db/agents?sslmode={mode}"}

    with pytest.raises(BadAddress, match=r"set spec\.storage\.postgres\.caSecretRef"):
        told_address(told)

    address = told_address(told | {CA: "-----BEGIN CERTIFICATE-----"})
    assert address is not None
    assert address.variables(Path("/scratch/ca.pem")) == {
        "PGHOST": "db",
        "PGPORT": "5432",
        "PGDATABASE": "agents",
        "PGUSER": "app",
        "PGPASSWORD": "x",
        "PGSSLMODE": mode,
        "PGSSLROOTCERT": "/scratch/ca.pem",
    }


def test_nobody_sees_the_password_in_what_is_shown_of_an_address() -> None:
    address = Address.of("postgresql://app:s3cret@db/agents")

    assert "s3cret" not in f"{address!r} {address}"
    assert str(address) == "agents at db:5432"
