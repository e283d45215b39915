"""Each field of each kind at its bounds, in strange letters, or missing: nobody else notices."""

import copy
from collections.abc import Iterator

import pytest
import pytest_asyncio

from controller.api.names import Kind
from controller.model import Key
from controller.reconcile import reconcile
from controller.tests import samples
from controller.tests.api.bad_specs import GONE, changed
from controller.tests.api.crd_fields import Field, Schema
from controller.tests.api.nonsense import EVERY_FIELD, located
from controller.tests.reconcile.scene import Scene, is_true

pytestmark = pytest.mark.fault(18)

STRANGE = 'Größe 😀 \x00\u2028 "{{ x }}" ${env.HOME} \\'
FREE: tuple[object, ...] = ({"x": {"y": [1, None, STRANGE]}}, {"spec": {"x": STRANGE}}, {})


def at_its_bounds(node: Schema) -> Iterator[object]:
    if "x-kubernetes-preserve-unknown-fields" in node:
        yield from FREE
    if "minimum" in node:
        yield node["minimum"]
    if "maximum" in node:
        yield node["maximum"]
    if node.get("type") == "string" and "pattern" not in node and "enum" not in node:
        yield STRANGE[: node.get("maxLength", len(STRANGE))]
        yield "ß" * node.get("maxLength", 1000)
    if node.get("type") == "array" and not node.get("minItems"):
        yield []
    yield GONE


HEALTHY = Key(Kind.AGENT, "default", "healthy")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet() -> Scene:
    """Somebody else's Agent on a Stack in the namespace of the good objects."""
    scene = Scene()
    stack = scene.cluster.put(samples.stack(namespace="default"))
    agent = scene.cluster.put(samples.agent("healthy", namespace="default"))
    await scene.rest(stack, agent)
    return scene


@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
async def test_any_value_that_is_let_in_is_survived(quiet: Scene, field: Field) -> None:
    body, path = located(field)
    for value in at_its_bounds(field.node):
        disturbed = quiet.copy()
        odd = copy.deepcopy(changed(body, path, value))
        odd["metadata"]["name"] = "odd"
        key = disturbed.cluster.put(odd)

        await disturbed.reconcile(key)  # raises nothing

        conditions = disturbed.cluster.objects[key]["status"]["conditions"]
        assert [one for one in conditions if one["type"] == "Ready"]
        before = disturbed.cluster.child("Deployment", "agent-healthy", "default")
        await reconcile(HEALTHY, disturbed.world, disturbed.now)
        assert disturbed.cluster.child("Deployment", "agent-healthy", "default") == before
        assert is_true(disturbed, HEALTHY, "Ready")


def test_there_is_no_kind_without_fields() -> None:
    assert {field.kind for field in EVERY_FIELD} == set(Kind)
