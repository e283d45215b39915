"""Namespaces that come and go, a Stack for many tests, and clients for it."""

import contextlib
import json
import secrets
from collections.abc import Callable, Generator, Iterator
from functools import partial

import pytest

from e2e import manifests
from e2e.asking import Asking
from e2e.kubectl import Body, Namespace, kubectl, run, until
from e2e.manifests import ADDS, NOBODY, config_map, model, stack, tool
from e2e.two_servers import TwoServers, two_servers

SHARED = "shared"
OPERATOR_LOG = ("-n", "k8gentai-system", "logs", "deployment/k8gentai-operator", "--tail=40")
RESTRICTED = "pod-security.kubernetes.io/enforce"
OURS = "agents,tools,stacks"
TEARDOWN_SECONDS = 90


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what was going on in the cluster at that moment."""
    report = yield
    if report.failed and item.get_closest_marker("cluster"):
        for title, words in (
            ("objects", ("get", "k8gentai,pods", "--all-namespaces")),
            ("operator", OPERATOR_LOG),
        ):
            report.sections.append((title, run(*words).stdout))
    return report


@contextlib.contextmanager
def a_namespace(purpose: str, leaving: list[str]) -> Iterator[Namespace]:
    """A namespace under the profile `restricted`; what is in it goes, `leaving` waits for it."""
    name = f"e2e-{purpose}-{secrets.token_hex(3)}"
    metadata = {"name": name, "labels": {RESTRICTED: "restricted"}}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    kubectl("create", "-f", "-", given=json.dumps(body))
    try:
        yield Namespace(name)
    finally:
        kubectl("-n", name, "delete", OURS, "--all", "--wait=false")
        leaving.append(name)


@pytest.fixture(scope="session")
def leaving() -> Iterator[list[str]]:
    """Namespaces on their way out; all of them have to end.

    A namespace that goes waits for its pods, and then sleeps for half of their grace period: so
    they are let go first.
    """
    names: list[str] = []
    yield names
    until(partial(_are_empty, names), "the objects in them are gone", TEARDOWN_SECONDS)
    for name in names:
        run("-n", name, "delete", "deployments,pods", "--all", "--now", "--wait=false")
    if names:
        kubectl("delete", "namespace", f"--timeout={TEARDOWN_SECONDS}s", *names)


def _are_empty(names: list[str]) -> bool:
    found = json.loads(kubectl("get", OURS, "--all-namespaces", "-o=json"))["items"]
    return not {one["metadata"]["namespace"] for one in found} & set(names)


@pytest.fixture
def namespace(leaving: list[str]) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    with a_namespace("own", leaving) as own:
        yield own


@pytest.fixture(scope="module")
def module_namespace(leaving: list[str]) -> Iterator[Namespace]:
    """A namespace of the module's own."""
    with a_namespace("module", leaving) as own:
        yield own


@pytest.fixture(scope="session")
def two(leaving: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServers]:
    """The Stack whose API two servers serve."""
    folder = tmp_path_factory.mktemp("database")
    with a_namespace("two", leaving) as home, two_servers(home, folder) as made:
        yield made


class Shared:
    """A Stack with an adding tool that tests join from namespaces of their own.

    Shape:
        Its models: `small` answers at once, `slow` after a second, `refusing`, `garbage` and
        `down` never do. `stack` and `add` are references for specs.
    """

    def __init__(self, namespace: Namespace, asking: Asking) -> None:
        self.namespace = namespace
        self.asking = asking
        self.stack: Body = {"name": SHARED, "namespace": namespace.name}
        self.add: Body = {"name": "add", "namespace": namespace.name}

    def effects(self) -> list[str]:
        """What the adding tool has done, a line each."""
        printed = self.namespace.python("deployment/tool-add", manifests.READ_EFFECTS)
        return printed.splitlines()


@pytest.fixture(scope="session")
def shared(leaving: list[str]) -> Iterator[Shared]:
    """The Stack that most tests share."""
    with a_namespace("shared", leaving) as home:
        home.apply(
            stack(
                SHARED,
                model("small", "stand-in"),
                model("slow", "slow-1000"),
                model("refusing", "error-500"),
                model("garbage", "garbage"),
                model("down", "stand-in", NOBODY),
            ),
            config_map("adds", adds=ADDS),
            tool("add", "adds:add", "adds", {"name": SHARED}),
        )
        home.wait_ready(f"stack/{SHARED}", "tool/add")
        with home.reached(f"stack-{SHARED}", 8321) as address:
            yield Shared(home, Asking(f"http://{address}"))


type Start = Callable[[Namespace, Body], str]


@pytest.fixture
def started() -> Start:
    """Applies an Agent, waits until it is ready, and gives the name clients call it by."""

    def start(namespace: Namespace, body: Body) -> str:
        name = f"agent/{body['metadata']['name']}"
        namespace.apply(body)
        namespace.wait_ready(name)
        return str(namespace.get(name)["status"]["model"])

    return start
