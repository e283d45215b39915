"""Two servers of one Stack on one PostgreSQL: no client sees which of them answers."""

import asyncio

import pytest

from e2e.two_servers import TwoServers

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

TIMES = 20


async def test_either_server_finds_what_the_other_has_made(two: TwoServers) -> None:
    """Each request has a connection of its own, so that the Service chooses anew."""
    async with two.asking.openai() as client:
        talk = await client.conversations.create()
        file = await client.files.create(file=("a.txt", b"kept"), purpose="assistants")
    made = await two.asking.ask("slow", "first", conversation=talk.id)
    for _ in range(TIMES):
        async with two.asking.openai() as client:
            assert (await client.responses.retrieve(made.id)).output_text == made.output_text
            assert (await client.conversations.retrieve(talk.id)).id == talk.id
            assert (await client.files.content(file.id)).content == b"kept"

    assert len(two.pods()) == 2
    status = two.namespace.get("stack/default")["status"]
    assert status["availableReplicas"] == 2


async def test_no_run_is_lost_with_a_server(two: TwoServers) -> None:
    begun = [await two.asking.begin("slow", f"number {i}") for i in range(TIMES)]

    await asyncio.to_thread(two.kill_one)
    answers = await two.asking.all_ended(begun)

    assert [answer.status for answer in answers] == ["completed"] * TIMES
    assert all(f"number {i}" in answer.output_text for i, answer in enumerate(answers))
    await asyncio.to_thread(two.wait_for_both)


async def test_agents_answer_without_the_database_and_the_stack_says_so(two: TwoServers) -> None:
    two.namespace.patch("deployment/db", {"replicas": 0})
    try:
        told = await asyncio.to_thread(
            two.namespace.wait_reason,
            "stack/default",
            "Degraded",
            "DependencyNotReady",
            seconds=150,
        )
        answer = await two.asking.ask("slow", "still there?")
    finally:
        two.namespace.patch("deployment/db", {"replicas": 1})

    assert "the database postgres at db:5432 cannot be reached" in told["message"]
    assert "still there?" in answer.output_text


async def test_the_password_is_shown_nowhere(two: TwoServers) -> None:
    """But in the Secret, and where the database itself is told."""
    kinds, but_for = "configmaps,stacks,pods", "app.kubernetes.io/name!=db"
    shown = two.namespace.kubectl("get", kinds, "-o=yaml", "--selector", but_for)
    for pod in two.pods():
        shown += two.namespace.kubectl("logs", pod)

    assert two.password not in shown
