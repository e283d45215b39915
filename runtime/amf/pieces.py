"""Text in pieces of about a token each, for those who count tokens to cut it into chunks.

The server counts with tiktoken, which fetches a table from the Internet when a server starts; one
that cannot would not start. Where exactly a chunk ends matters little: it overlaps the next one.
"""

import re

# Six letters of English are a little more than a token of cl100k_base, other scripts take a token a
# letter or less: a chunk is rarely longer than it would be there.
PIECE = re.compile(r"\s?[A-Za-z0-9_]{1,6}|\s?\S|\s")


class Pieces:
    """What the server uses of a `tiktoken.Encoding`."""

    def encode(self, text: str) -> list[str]:
        """The pieces, which are the text when they are put together."""
        return PIECE.findall(text)

    def decode(self, pieces: list[str]) -> str:
        """The text of some pieces."""
        return "".join(pieces)
