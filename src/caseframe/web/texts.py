"""Text that no catalog holds, NUL and lone surrogates, is refused wherever a request brings it.

Once for all routes, because PostgreSQL refuses what SQLite takes, and each route that forgets it
would be an error of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import Depends, Request
from starlette.datastructures import FormData

from caseframe.domain.errors import NotFound, UsageError
from caseframe.domain.text import one_line, storable

_ESCAPE = b"\\u"  # in JSON such characters can only come escaped: itself it is UTF-8 without NUL


async def _storable(request: Request) -> None:
    if any(_odd(value) for value in request.path_params.values()):
        raise NotFound("there is nothing at this address")
    _check(request.query_params.multi_items())
    # Only what FastAPI has read already, and holds: pictures are read by their routes, in pieces.
    if isinstance(form := getattr(request, "_form", None), FormData):
        _check(form.multi_items())
    if (sent := getattr(request, "_json", None)) is not None and _ESCAPE in await request.body():
        _check(_members("the body", sent))


def _check(pairs: Any) -> None:
    for name, value in pairs:
        if _odd(name) or _odd(value):
            raise UsageError(f"{one_line(name, 40)}: NUL and lone surrogates are not taken")


def _odd(value: object) -> bool:
    return isinstance(value, str) and storable(value) != value


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every text below a JSON value with the name of the member that it belongs to."""
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += ((name, item) for item in value)
        yield name, value


Storable = Depends(_storable)
"""For all routes: refuses such text with 400, and 404 in an address."""
