import pytest

from controller.api.fields import AllowedNamespaces
from controller.desired.references import permits

LABELS = {"kubernetes.io/metadata.name": "guests", "tier": "gold"}


@pytest.mark.parametrize(
    ("allowed", "wanted"),
    [
        ({}, False),
        ({"from": "Same"}, False),
        ({"from": "All"}, True),
        ({"from": "Selector", "selector": {}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"tier": "iron"}}}, False),
        (
            {
                "from": "Selector",
                "selector": {
                    "matchExpressions": [
                        {"key": "tier", "operator": "In", "values": ["gold", "iron"]},
                        {"key": "blocked", "operator": "DoesNotExist"},
                    ]
                },
            },
            True,
        ),
        (
            {
                "from": "Selector",
                "selector": {
                    "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]
                },
            },
            False,
        ),
        (
            {
                "from": "Selector",
                "selector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
            },
            False,
        ),
    ],
)
def test_who_may_refer_from_another_namespace(allowed: dict[str, object], *, wanted: bool) -> None:
    assert permits(AllowedNamespaces.model_validate(allowed), LABELS) is wanted
