import pytest
import tokens


async def test_it_counts_tokens_that_are_really_minted() -> None:
    endpoint, body = tokens.service()
    assert await tokens.mints(endpoint, body, 0.01) > 0
    with pytest.raises(AssertionError, match="refused"):
        await tokens.mints(endpoint, body.replace(b"scope=sums", b"scope=all"), 0.01)


def test_it_counts_signatures() -> None:
    assert tokens.signatures(0.01) > 0
