import random

import pytest
from stand_in.faults import Cut, Empty, Fault, Garbage, Hang, Refusal, Slow, fault


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("slow-250", Slow(0.25)),
        ("vllm/slow-0", Slow(0.0)),
        ("error-429", Refusal(429)),
        ("a/b/error-500", Refusal(500)),
        ("error-200", None),
        ("garbage", Garbage()),
        ("empty", Empty()),
        ("hang", Hang()),
        ("cut", Cut()),
        ("slow", None),
        ("slow-", None),
        ("not-hang", None),
        ("hang/on", None),
        ("stand-in", None),
    ],
)
def test_names(model: str, expected: Fault) -> None:
    assert fault(model) == expected


def test_every_error_status_can_be_had(rng: random.Random) -> None:
    status = rng.randint(400, 599)

    assert fault(f"error-{status}") == Refusal(status)
