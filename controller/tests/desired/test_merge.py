import copy
from typing import Any

import pytest

from controller.desired.merge import merged

BASE = {
    "serviceAccountName": "agent-math",
    "containers": [
        {"name": "worker", "image": "a", "env": [{"name": "A", "value": "1"}], "args": ["x", "y"]}
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}


@pytest.mark.parametrize(
    ("patch", "wanted"),
    [
        pytest.param({}, {}, id="nothing changes nothing"),
        pytest.param({"hostname": "h"}, {"hostname": "h"}, id="a new field is added"),
        pytest.param({"volumes": None}, {"volumes": None}, id="null takes away"),
        pytest.param(
            {"containers": [{"name": "worker", "image": "b"}]},
            {"containers": [{**BASE["containers"][0], "image": "b"}]},  # type: ignore[dict-item]  # a literal
            id="a container is merged by its name",
        ),
        pytest.param(
            {"containers": [{"name": "other", "image": "c"}]},
            {"containers": [BASE["containers"][0], {"name": "other", "image": "c"}]},
            id="a new container comes last",
        ),
        pytest.param(
            {"containers": [{"name": "worker", "args": ["z"]}]},
            {"containers": [{**BASE["containers"][0], "args": ["z"]}]},  # type: ignore[dict-item]  # a literal
            id="a list without a key is replaced",
        ),
        pytest.param(
            {"volumes": [{"name": "tmp", "emptyDir": None, "hostPath": {"path": "/"}}]},
            {"volumes": [{"name": "tmp", "hostPath": {"path": "/"}}]},
            id="one member of a union makes room for another",
        ),
    ],
)
def test_a_patch_is_laid_over(patch: dict[str, Any], wanted: dict[str, Any]) -> None:
    before = copy.deepcopy((BASE, patch))

    result = merged(BASE, patch)

    expected = {name: value for name, value in {**BASE, **wanted}.items() if value is not None}
    assert result == expected
    assert before == (BASE, patch)
