"""Kubernetes quantities: one amount, many spellings."""

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?"
)
_BINARY: Final = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_FACTOR_BY_SUFFIX: Final = {
    "": Decimal(1),
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(_BINARY, 1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate("mun", 1)},
}


def amount(quantity: str) -> Decimal | None:
    """What `quantity` amounts to ("1Gi" and "1024Mi" are the same); None if it is none.

    Source:
        Kubernetes API reference, "Quantity".
    """
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        return None
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _FACTOR_BY_SUFFIX:
        return number * _FACTOR_BY_SUFFIX[suffix]
    return number * Decimal(10) ** int(suffix[1:])
