"""nats.conf, read by the nats-server that has to live with it."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from controller.clients.nkeys import (
    account_seed,
    public_key,
    public_xkey,
    user_seed,
    xkey_seed,
)
from controller.desired.nats import Cluster, NatsServer, nats_conf, work_exports
from controller.desired.render import nats_quoted
from runtime.contract.subjects import Account, StackSubjects
from runtime.contract.value import ObjectName

NATS_SERVER = Path(sys.prefix) / "bin" / "nats-server"
ROUTES = ("nats://nats-default-0.nats-peers:6222", "nats://nats-default-1.nats-peers:6222")
STACK = ObjectName(namespace="team", name="default")
SERVER = NatsServer(
    stack=STACK,
    issuer=public_key(account_seed()),
    trust_user=public_key(user_seed()),
    xkey=public_xkey(xkey_seed()),
    store_dir="/data/jetstream",
)


def read(conf: str, folder: Path) -> tuple[int, str]:
    """What nats-server says to `conf` without starting."""
    path = folder / "nats.conf"
    path.write_text(conf)
    asked = subprocess.run(
        [NATS_SERVER, "-t", "-c", path],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"POD_NAME": "nats-default-0"},
    )
    return asked.returncode, asked.stderr + asked.stdout


@pytest.mark.integration
@pytest.mark.parametrize(
    "server",
    [
        pytest.param(SERVER, id="one server"),
        pytest.param(replace(SERVER, name="nats", host="127.0.0.1", monitor_port=0), id="local"),
        pytest.param(replace(SERVER, sync_interval="2m"), id="synced now and then"),
        pytest.param(
            replace(SERVER, cluster=Cluster(name="default", routes=ROUTES)),
            id="three servers",
        ),
        pytest.param(replace(SERVER, store_dir='/tmp/a "quoted" \\ folder # ${x} $y'), id="quotes"),
    ],
)
def test_the_server_takes_what_is_written(server: NatsServer, tmp_path: Path) -> None:
    code, told = read(nats_conf(server), tmp_path)
    assert code == 0, told


@pytest.mark.integration
def test_the_server_would_say_if_it_were_wrong(tmp_path: Path) -> None:
    code, _ = read(nats_conf(SERVER).replace("auth_users", "auth_user"), tmp_path)
    assert code != 0


@pytest.mark.parametrize("value", ["a\nport: 1", "a\0", "ä", "\x7f", "a\tb"])
def test_what_cannot_be_quoted_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        nats_conf(replace(SERVER, store_dir=value))


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ('\\"}', r'"\\\"}"'),
        ("$JS.>", '"$JS.>"'),
        ("", '""'),
    ],
)
def test_quotes_and_backslashes_are_escaped(value: str, quoted: str) -> None:
    assert nats_quoted(value) == quoted


def test_every_export_names_who_may_import_it() -> None:
    conf = nats_conf(SERVER)
    exported = re.findall(
        r'^ *\{ (?:service|stream): "([^"]+)", accounts: \[ (\w+) \]', conf, re.MULTILINE
    )
    imported = re.findall(r'(?:service|stream): \{account: \w+, subject: "([^"]+)"\}', conf)
    assert sorted(subject for subject, _ in exported) == sorted(imported)
    assert {account for _, account in exported} == {"AGENTS", "AUTH"}


def test_what_crosses_the_border_is_of_this_stack_and_no_more() -> None:
    crossing = {(one.subject, one.account) for one in work_exports(StackSubjects(STACK))}
    workers = {subject for subject, account in crossing if account is Account.AGENTS}
    assert {subject for subject, account in crossing if account is Account.AUTH} == {
        "$JS.API.DIRECT.GET.KV_team_default_policy",
        "$JS.API.DIRECT.GET.KV_team_default_policy.$KV.team_default_policy.>",
    }
    assert workers == {
        "$JS.API.DIRECT.GET.KV_team_default_policy.$KV.team_default_policy.workloads.*.*",
        "$JS.API.CONSUMER.MSG.NEXT.team_default_TASKS.*",
        "$JS.API.CONSUMER.MSG.NEXT.team_default_CALLS.*",
        "$JS.ACK.team_default_TASKS.>",
        "$JS.ACK.team_default_CALLS.>",
        "k8gentai.team.default.events.>",
        "k8gentai.team.default.calls.>",
        "k8gentai.team.default.asks.>",
        "k8gentai.team.default.cancel.>",
        "k8gentai.team.default.wake.>",
        "$KV.team_default_runs.>",
        "$KV.team_default_effects.>",
        "$KV.team_default_checkpoints.>",
        "$KV.team_default_catalogue.functions.>",
        "$JS.API.DIRECT.GET.KV_team_default_runs.$KV.team_default_runs.>",
        "$JS.API.DIRECT.GET.KV_team_default_effects.$KV.team_default_effects.>",
        "$JS.API.DIRECT.GET.KV_team_default_checkpoints.$KV.team_default_checkpoints.>",
        "$JS.API.DIRECT.GET.KV_team_default_catalogue.$KV.team_default_catalogue.functions.>",
    }


def test_there_is_no_password_and_no_user_but_the_trust_plane() -> None:
    conf = nats_conf(SERVER)
    assert "pass" not in re.sub(r"#.*", "", conf)
    assert "no_auth_user" not in conf
    assert re.findall(r'nkey: "([^"]+)"', conf) == [SERVER.trust_user]


def test_the_same_values_give_the_same_bytes() -> None:
    assert nats_conf(SERVER) == nats_conf(replace(SERVER))


def test_a_single_server_has_no_route_port_open() -> None:
    assert "cluster" not in nats_conf(SERVER)
    conf = nats_conf(replace(SERVER, cluster=Cluster(name="team/default", routes=ROUTES)))
    assert all(f'"{route}"' in conf for route in ROUTES)
    assert "port: 6222" in conf
