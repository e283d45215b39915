import pytest

from runtime.contract.spiffe import SpiffeId, WorkloadKind, trust_domain_of
from runtime.contract.value import ObjectName

MATH = ObjectName(namespace="team", name="math")


@pytest.mark.parametrize(
    ("kind", "text", "account"),
    [
        (WorkloadKind.AGENT, "spiffe://example.org/ns/team/agent/math", "agent-math"),
        (WorkloadKind.TOOL, "spiffe://example.org/ns/team/tool/math", "tool-math"),
        (WorkloadKind.STACK, "spiffe://example.org/ns/team/stack/math", "server-math"),
        (
            WorkloadKind.DISPATCHER,
            "spiffe://example.org/ns/team/dispatcher/math",
            "dispatcher-math",
        ),
    ],
)
def test_an_id_names_one_workload_and_its_service_account(
    kind: WorkloadKind, text: str, account: str
) -> None:
    named = SpiffeId(trust_domain="example.org", kind=kind, owner=MATH)

    assert str(named) == text
    assert SpiffeId.parse(text) == named
    assert named.service_account == ObjectName(namespace="team", name=account)
    assert trust_domain_of(text) == "spiffe://example.org"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://example.org",
        "spiffe://example.org/ns/team/agent",
        "spiffe://example.org/ns/team/agent/math/more",
        "spiffe://example.org/ns/team/operator/math",
        "spiffe://example.org/ns/team/sa/agent-math",
        "spiffe://example.org/ns/te.am/agent/math",
        "spiffe://example.org/ns/team/agent/math?x",
        "spiffe:///ns/team/agent/math",
        "https://example.org/ns/team/agent/math",
        "spiffe://example.org/ns/team/agent/math\n",
    ],
)
def test_what_names_no_workload_of_ours_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"no SPIFFE ID of a workload of ours|is not a valid WorkloadKind"
    ):
        SpiffeId.parse(text)
