from decimal import Decimal

import pytest

from controller.model import amount


@pytest.mark.parametrize(
    ("quantity", "wanted"),
    [
        ("1Gi", 1024**3),
        ("1024Mi", 1024**3),
        ("1G", 10**9),
        ("500m", Decimal("0.5")),
        ("0.5", Decimal("0.5")),
        (".5", Decimal("0.5")),
        ("2e3", 2000),
        ("1E", 10**18),
        ("100n", Decimal("1e-7")),
        ("12", 12),
        ("", None),
        ("1gi", None),
        ("high", None),
    ],
)
def test_one_amount_has_many_spellings(quantity: str, wanted: Decimal | int | None) -> None:
    assert amount(quantity) == wanted
