"""How many messages are owed to requests for work."""

from runtime.transport.outstanding import Outstanding

LONGEST = 10.0


def test_what_is_asked_for_is_owed_until_it_comes() -> None:
    requests = Outstanding(LONGEST)
    requests.ask(3, 0)
    requests.ask(2, 1)
    requests.came()
    assert requests.owed(1) == 4


def test_what_a_request_leaves_over_is_owed_no_more() -> None:
    """Both had asked for 2, one message has come to either, and one of them runs out."""
    requests = Outstanding(LONGEST)
    requests.ask(2, 0)
    requests.ask(2, 0)
    requests.came()
    requests.came()
    requests.ran_out(1)
    assert requests.owed(0) == 1


def test_when_nobody_says_what_was_left_nothing_is_owed() -> None:
    requests = Outstanding(LONGEST)
    requests.ask(4, 0)
    requests.ran_out(None)
    assert requests.owed(0) == 0


def test_a_message_too_many_is_not_counted_against_later_requests() -> None:
    requests = Outstanding(LONGEST)
    requests.came()
    requests.ran_out(3)
    requests.ask(2, 0)
    assert requests.owed(0) == 2


def test_a_lost_message_is_forgotten_with_its_request() -> None:
    requests = Outstanding(LONGEST)
    requests.ask(3, 0)
    requests.ask(1, 8)
    requests.came()
    requests.came()
    assert requests.owed(9) == 2
    assert requests.owed(10.5) == 1
    assert requests.owed(18.5) == 0
