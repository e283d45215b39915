"""What may stand in the query of a route of ours: what it asks for, and nothing else.

Source:
    FastAPI reference, "Dependencies in path operation decorators"; `fastapi.routing.APIRoute`.
"""

from typing import Final

from fastapi import Depends
from starlette.requests import Request

from runtime.amf.errors import BadRequest


async def _only_what_is_known(request: Request) -> None:
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            ways = f"; there is {', '.join(sorted(known))}" if known else ""
            raise BadRequest(f"{name} is no parameter here{ways}. Leave it out.", param=name)


ONLY_KNOWN: Final = Depends(_only_what_is_known)
"""Of a router: whatever is not understood is refused by its name, and not passed over.

Raises:
    BadRequest: `param` names it.
"""
