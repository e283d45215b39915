"""What the next attempt has of a worker that is lost while its agent calls a tool."""

from runtime.tests.resuming import Attempts


async def lost_at_the_effect(place: Attempts, question: str) -> None:
    """An attempt whose worker is lost in the moment in which the tool of the platform is called."""
    at_the_effect: list[bytes | None] = []
    play = place.place.executor.play

    async def noticing(function: str, arguments: dict[str, int]) -> int:
        at_the_effect.append(await place.kept())
        return int(await play(function, arguments))

    place.place.executor.play = noticing
    await place.cut(question)
    place.place.executor.play = play
    (kept,) = at_the_effect
    assert kept is not None
    await place.put(kept)
