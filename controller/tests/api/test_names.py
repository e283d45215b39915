from controller.api.names import (
    Component,
    Kind,
    child_labels,
    selector_labels,
)


def test_a_child_says_what_it_is_and_whose() -> None:
    assert child_labels(Kind.AGENT, "team", "math", Component.WORKER) == {
        "app.kubernetes.io/name": "agent",
        "app.kubernetes.io/instance": "math",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/part-of": "k8gentai",
        "app.kubernetes.io/managed-by": "k8gentai",
        "k8gentai.dev/owner-kind": "agent",
        "k8gentai.dev/owner-name": "math",
        "k8gentai.dev/owner-namespace": "team",
    }


def test_a_selector_is_part_of_the_labels_and_tells_kinds_apart() -> None:
    """An Agent and a Tool of one name run side by side in one namespace."""
    agent = selector_labels(Kind.AGENT, "math", Component.WORKER)
    tool = selector_labels(Kind.TOOL, "math", Component.TOOL_WORKER)

    assert agent.items() <= child_labels(Kind.AGENT, "team", "math", Component.WORKER).items()
    assert agent != tool
