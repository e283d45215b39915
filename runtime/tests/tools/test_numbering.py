from runtime.tools.numbering import Numbering, working_on


def test_equal_calls_are_counted_and_others_begin_anew() -> None:
    numbering = Numbering()
    assert [numbering.take("add 1 2") for _ in range(3)] == [0, 1, 2]
    assert numbering.take("add 2 2") == 0
    assert len(numbering) == 4


def test_work_that_was_cut_off_finds_its_number_again() -> None:
    """Whichever of two equal calls at the same time was done, the other one gets its own."""
    lost = Numbering()
    with working_on("a"):
        assert lost.take("roll") == 0
    with working_on("b"):
        assert lost.take("roll") == 1
    numbering = Numbering()
    numbering.restore(lost.taken(lambda work: work == "b"))
    assert [numbering.take("roll") for _ in range(2)] == [0, 2]


def test_what_was_restored_is_kept_by_the_attempt_after_the_next() -> None:
    numbering = Numbering()
    numbering.restore([("roll", 0)])
    with working_on("a"):
        numbering.take("roll")
    assert numbering.taken(lambda work: not work) == [("roll", 0)]
    assert len(numbering) == 2
