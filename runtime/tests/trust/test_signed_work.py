"""Tasks and calls where the Stack wants to know for whom: workers with a real token service."""

import logging
import time
from typing import Any

import pytest

from runtime.agent.signed import Signed
from runtime.contract.agent_config import AgentBinding, Framework, ToolBinding
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import asked_task
from runtime.contract.messages import Call, Message, Task
from runtime.contract.messages import Role as Said
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Stream
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.contract.work import call_work, task_work
from runtime.dispatch.chains import Take, genuine_ask, judged
from runtime.identity.delegation import Delegations
from runtime.tests.agent.test_handler import MATH as HANDLERS
from runtime.tests.agent.test_handler import Place as AgentPlace
from runtime.tests.tools import place as tools
from runtime.tests.tools.place import Place, adding
from runtime.tests.trust.token_requests import user_token
from runtime.tests.trust.token_scene import ADD, Scene
from runtime.tools.call_context import token_headers
from runtime.tools.port import ToolFailure
from runtime.tools.signed import SignedCalls
from runtime.worker.outcomes import Done, Later, Malformed

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


def delegations(scene: Scene, workload: Workload) -> Delegations:
    return Delegations(scene.client(workload))


async def granted(scene: Scene, task: Task, agent: Workload | None = None) -> Task:
    """The task as the server accepts it: of Ada, with a grant for it."""
    user, stack = user_token(scene.users), scene.running.stack
    to = (agent or scene.math).name
    grant = await scene.client(scene.server).task_grant(user, stack, to, task_work(task))
    return task.model_copy(update={"grant": grant, "user": scene.users.principal("ada")})


class Agent:
    """A worker of `math` and its queue."""

    def __init__(self, scene: Scene, workload: Workload | None = None) -> None:
        self.place = AgentPlace()
        self.place.handler.signed = Signed(delegations(scene, workload or scene.math))

    def task(self, text: str = "2+3?", **facts: Any) -> Task:
        now = time.time()
        return Task(
            id="t1",
            stack=self.place.queue.subjects.stack,
            agent=HANDLERS,
            origin="o",
            input=(Message(role=Said.USER, text=text),),
            created=now,
            deadline=now + 60,
            **facts,
        )

    async def handled(self, task: Task, *, is_accepted: bool = True) -> object:
        """What becomes of a message; one that is planted has no record."""
        if is_accepted:
            await self.place.runs.accept(RunRecord(task=task))
        subject = self.place.queue.subjects.tasks(task.agent)
        await self.place.link.outbox.publish(subject, task.encode(), msg_id=None)
        return await self.place.handler.handle(await self.place.inbox.next())


async def test_a_task_that_its_user_has_granted_is_run(scene: Scene) -> None:
    agent = Agent(scene)
    assert await agent.handled(await granted(scene, agent.task())) == Done()
    assert len(agent.place.adapter.runs) == 1


@pytest.mark.fault(21)
@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"grant": None}, "there is no grant", id="no grant"),
        pytest.param({"grant": "nonsense"}, "this is no grant", id="no JWT"),
        pytest.param({"id": "t2"}, "another task", id="the grant of another task"),
        pytest.param(
            {"input": (Message(role=Said.USER, text="give it all to me"),)},
            "another input",
            id="another input",
        ),
        pytest.param({"user": "https://issuer#eve"}, "another user's", id="another user"),
    ],
)
async def test_what_nobody_has_granted_is_no_work(
    scene: Scene, caplog: pytest.LogCaptureFixture, change: dict[str, Any], why: str
) -> None:
    """Whoever could put it there, and whatever it says of its user."""
    agent = Agent(scene)
    planted = (await granted(scene, agent.task())).model_copy(update=change)
    with caplog.at_level(logging.WARNING, "k8gentai.audit"):
        assert await agent.handled(planted, is_accepted=False) == Malformed("unsigned")
    assert agent.place.adapter.runs == []
    lines = [vars(line) for line in caplog.records if hasattr(line, "subject")]
    assert [(line["subject"], line["work"]) for line in lines] == [
        ("k8gentai.ns.stack.tasks.ns.math", planted.id)
    ]
    assert why in lines[0]["reason"]


@pytest.mark.fault(28)
async def test_the_grant_of_one_agent_is_nothing_to_another(scene: Scene) -> None:
    thief = Agent(scene, scene.other)
    assert await thief.handled(await granted(scene, thief.task())) == Malformed("unsigned")
    assert thief.place.adapter.runs == []


async def test_an_end_is_told_again_when_nobody_grants_anything_any_more(scene: Scene) -> None:
    agent = Agent(scene)
    task = await granted(scene, agent.task())
    assert await agent.handled(task) == Done()
    again = task.model_copy(update={"grant": "nonsense"})
    assert await agent.handled(again, is_accepted=False) == Done()
    assert len(agent.place.adapter.runs) == 1


async def test_a_task_waits_for_a_service_that_is_away(scene: Scene) -> None:
    agent = Agent(scene)
    task = await granted(scene, agent.task())
    await scene.running.stop_trust()
    assert await agent.handled(task) == Later(1)
    await scene.running.start_trust()
    assert await agent.handled(task, is_accepted=False) == Done()


class Calling:
    """An agent with its tool; what the tool was told is in `headers`."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.headers: list[dict[str, str]] = []
        self.place = Place(self._adding, delegations=delegations(scene, scene.add))

    async def _adding(self, function: str, arguments: dict[str, Any]) -> Any:
        self.headers += [await token_headers(), await token_headers()]
        return await adding(function, arguments)

    async def task(self) -> Task:
        return await granted(self.scene, tools.task())

    async def call(self, task: Task, tool: str = "add", **arguments: Any) -> str:
        config = tools.agent_config(
            ToolBinding(tool=ADD), agents=(AgentBinding(agent=self.scene.other.name),)
        )
        granting = delegations(self.scene, self.scene.math)
        async with self.place.toolbox(config, delegations=granting) as box:
            bound = {one.name: one for one in box.bind(task, self.place.tell)}
            return await bound[tool].call(arguments)


@pytest.mark.fault(30)
async def test_a_tool_knows_for_whom_it_works(scene: Scene) -> None:
    calling = Calling(scene)
    task = await calling.task()
    async with calling.place.working():
        assert await calling.call(task, a=2, b=3) == "5"
    first, second = [await scene.verifier.averify(one["Txn-Token"]) for one in calling.headers]
    assert first.sub == task.user
    assert first.act == ("spiffe://example.org/ns/team/agent/math",)
    assert first.work == call_work(tools.call())
    # Whoever refuses replays is never shown the same one twice.
    assert first.jti != second.jti


@pytest.mark.fault(28)
async def test_a_redelivered_call_is_answered_and_happens_once(scene: Scene) -> None:
    calling = Calling(scene)
    task = await calling.task()
    async with calling.place.working():
        await calling.call(task, a=2, b=3)
        await calling.call(task, a=2, b=3)
    assert len(calling.place.executor.asked) == 1


@pytest.mark.fault(27)
@pytest.mark.parametrize("how", ["none", "of other arguments", "of another task", "a token"])
async def test_a_call_without_its_own_grant_never_runs(scene: Scene, how: str) -> None:
    calling = Calling(scene)
    task = await calling.task()
    math = scene.client(scene.math)
    held = await math.trade(str(task.grant), task_work(task))
    other = tools.call(a=7) if how == "of other arguments" else tools.call()
    grant: str | None = await math.tool_grant(held, ADD, call_work(other), time.time() + 60)
    planted = tools.call()
    if how == "none":
        grant = None
    if how == "of another task":
        planted = tools.call(index=1)
    if how == "a token":
        grant = held.jwt
    await calling.place.publish(planted.model_copy(update={"grant": grant}))
    handled = await calling.place.handler.handle(await calling.place.delivery())
    assert handled == Malformed("unsigned")
    assert calling.place.executor.asked == []


async def test_a_call_of_another_agent_never_runs(scene: Scene) -> None:
    """Its grant is good, and whoever published it is somebody else."""
    calling = Calling(scene)
    task = await calling.task()
    call = tools.call()
    held = await scene.client(scene.math).trade(str(task.grant), task_work(task))
    grant = await scene.client(scene.math).tool_grant(held, ADD, call_work(call), call.deadline)
    eve = ObjectName(namespace="team", name="eve")
    signed = SignedCalls(delegations(scene, scene.add))
    with pytest.raises(Exception, match="another agent's"):
        await signed.tokens(call.model_copy(update={"grant": grant, "caller": eve}))


async def test_the_model_is_told_that_a_tool_may_not_be_called(scene: Scene) -> None:
    calling = Calling(scene)
    task = (await calling.task()).model_copy(update={"grant": "nonsense"})
    async with calling.place.working():
        with pytest.raises(ToolFailure, match="add may not be called"):
            await calling.call(task, a=2, b=3)
    assert calling.place.executor.asked == []


@pytest.mark.fault(30)
async def test_who_asks_another_agent_stands_in_its_token(scene: Scene) -> None:
    """The call becomes a task as the dispatcher makes it, and that agent trades its grant."""
    calling = Calling(scene)
    task = await calling.task()
    with pytest.raises(ToolFailure):  # nobody answers; what was asked is in the queue
        await calling.call(
            task.model_copy(update={"deadline": time.time() + 0.5}), "other", input="say"
        )
    subjects = calling.place.queue.subjects
    asks = subjects.asks(scene.other.name, scene.math.name)
    (data,) = [m.data for m in calling.place.queue.messages(Stream.CALLS) if m.subject == asks]
    call = genuine_ask(subjects, asks, data)
    child = judged_task(call, task)
    assert child.id == asked_task(call.id)
    held = await scene.client(scene.other).trade(str(child.grant), task_work(child))
    assert held.token.sub == child.user
    assert held.token.act == (
        "spiffe://example.org/ns/team/agent/other",
        "spiffe://example.org/ns/team/agent/math",
    )


def judged_task(call: Call, parent: Task) -> Task:
    entry = AgentEntry(agent=call.tool, model="other", framework=Framework.LANGGRAPH)
    record = RunRecord(task=parent, attempt=1)
    made = judged(call, record, entry, time.time() - 10)
    assert isinstance(made, Take)
    return made.task
