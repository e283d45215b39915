"""The API server and the models agree: on what is refused, on the words, and on the defaults."""

import json
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import pytest

from controller.api.names import API_VERSION, GROUP, PLURAL_BY_KIND, Kind
from controller.api.parse import MODEL_BY_KIND, parse
from controller.tests.api.bad_specs import BAD, Bad, changed
from controller.tests.api.crd_fields import CRDS, Field
from controller.tests.api.good_specs import ALSO_GOOD, GOOD
from controller.tests.api.nonsense import EVERY_FIELD, located, nonsense

pytestmark = pytest.mark.cluster


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class Create(Protocol):
    def __call__(self, body: dict[str, Any], *, unknown: str = ...) -> Answer: ...


ALL_GOOD = (*GOOD.values(), *ALSO_GOOD)


@pytest.fixture(scope="module", autouse=True)
def crds() -> None:
    """The kinds as this tree says them; left in place, whatever objects exist."""
    for command in (
        ["kubectl", "apply", "--server-side", "--force-conflicts", "-k", str(CRDS)],
        ["kubectl", "wait", "--for=condition=Established", "--timeout=30s"]
        + [f"crd/{plural}.{GROUP}" for plural in PLURAL_BY_KIND.values()],
    ):
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def create() -> Iterator[Create]:
    """Posts an object, keeps nothing, and tells the HTTP status and the answer."""
    command = ["kubectl", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        port = int(proxy.stdout.readline().rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=30)

        def posted(body: dict[str, Any], *, unknown: str = "Strict") -> Answer:
            plural = PLURAL_BY_KIND[Kind(body["kind"])]
            path = f"/apis/{API_VERSION}/namespaces/default/{plural}"
            connection.request(
                "POST",
                f"{path}?dryRun=All&fieldValidation={unknown}",
                json.dumps(body),
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))

        yield posted
        connection.close()
        proxy.terminate()


def _name(body: dict[str, Any]) -> str:
    return f"{body['kind']} {body['metadata']['name']}"


@pytest.mark.parametrize("body", ALL_GOOD, ids=_name)
def test_a_good_object_is_accepted_with_the_same_defaults(
    body: dict[str, Any], create: Create
) -> None:
    model = MODEL_BY_KIND[Kind(body["kind"])]

    created = create(body)

    assert created.status == HTTPStatus.CREATED, created.body["message"]
    stored, written = parse(model, created.body), parse(model, body)
    assert stored.dump()["spec"] == written.dump()["spec"]


@pytest.mark.fault(18)
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_object_is_refused_by_the_name_of_its_field(bad: Bad, create: Create) -> None:
    refused = create(bad.body(), unknown="Ignore")

    assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert bad.at in refused.body["message"]
    if bad.rule:
        assert bad.message in refused.body["message"]


@pytest.mark.fault(18)
@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
def test_nonsense_is_refused_by_the_field_s_name(field: Field, create: Create) -> None:
    body, path = located(field)

    for value in nonsense(field.node):
        refused = create(changed(body, path, value), unknown="Ignore")
        assert refused.status >= HTTPStatus.BAD_REQUEST, value
        assert path in refused.body["message"], value


@pytest.mark.parametrize("kind", Kind)
def test_an_unknown_field_is_refused(kind: Kind, create: Create) -> None:
    refused = create(changed(GOOD[kind], "spec.colour", "red"))

    assert 'unknown field "spec.colour"' in refused.body["message"]


@pytest.mark.parametrize("kind", Kind)
def test_explain_teaches(kind: Kind) -> None:
    command = ["kubectl", "explain", f"{PLURAL_BY_KIND[kind]}.{GROUP}.spec"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    schema = MODEL_BY_KIND[kind].model_fields["spec"].annotation

    assert schema is not None
    for field in schema.model_fields.values():
        words = field.description.split()
        assert " ".join(words[:4]) in " ".join(shown.split())


@pytest.fixture
def agent() -> Iterator[list[str]]:
    """An Agent whose Stack does not exist, in a namespace of its own: kubectl's words for it."""
    namespace = f"admission-{uuid4().hex[:8]}"
    body = changed(GOOD[Kind.AGENT], "metadata.namespace", namespace)
    subprocess.run(["kubectl", "create", "namespace", namespace], check=True, capture_output=True)
    apply = ["kubectl", "apply", "-f", "-"]
    subprocess.run(apply, input=json.dumps(body), text=True, check=True, capture_output=True)
    yield ["-n", namespace, f"agents.{GROUP}/{body['metadata']['name']}"]
    delete = ["kubectl", "delete", "namespace", namespace, "--timeout=60s"]
    subprocess.run(delete, check=True, capture_output=True)


def _kubectl(*arguments: str) -> str:
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_kubectl_scales_an_agent_and_shows_its_columns(agent: list[str]) -> None:
    _kubectl("scale", *agent, "--replicas=3")

    assert _kubectl("get", *agent, "-o", "jsonpath={.spec.replicas}") == "3"
    assert _kubectl("get", *agent, "-o", "wide").splitlines()[0].split() == [
        *("NAME", "FRAMEWORK", "READY", "REASON", "REPLICAS", "BACKLOG", "AGE"),
        *("SPIFFEID", "URL", "IMAGE"),
    ]
    assert "agent.k8gentai.dev/math" in _kubectl("get", "k8gentai", *agent[:2])
