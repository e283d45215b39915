import pytest

from runtime.amf.pieces import Pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", 0),
        ("a cat", 2),
        ("extraordinary", 3),
        ("one, two.\n\nthree", 6),
        ("日本語", 3),
        ("  ", 2),
        ("naïve café", 5),
    ],
)
def test_the_pieces_of_a_text_are_the_text(text: str, pieces: int) -> None:
    found = Pieces().encode(text)

    assert Pieces().decode(found) == text
    assert len(found) == pieces
