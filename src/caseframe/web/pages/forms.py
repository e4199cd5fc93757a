"""What pages with forms have in common: faults at their fields."""

from __future__ import annotations

import math
from typing import Any

from fastapi import Request, Response

from caseframe.domain.access import (
    STATUS,
    AccessError,
    EmailTaken,
    InvalidInput,
    TooManyAttempts,
)
from caseframe.web.render import page

Faults = dict[str, list[str]]
"""What is wrong by field; under "" what is wrong with the whole."""
# The accounts' rules name what they are about in their first words.
_ABOUT = {
    "the first name": "first_name",
    "the last name": "last_name",
    "the e-mail address": "email",
    "the password": "password",
}


def faults_of(error: AccessError) -> Faults:
    """What a refusal says, by the field that it is about."""
    found: Faults = {}
    for reason in error.reasons if isinstance(error, InvalidInput) else (str(error),):
        field = next((f for words, f in _ABOUT.items() if reason.startswith(words)), "")
        found.setdefault("email" if isinstance(error, EmailTaken) else field, []).append(reason)
    return found


def again(request: Request, template: str, error: AccessError, **values: Any) -> Response:
    """The form once more, with its faults."""
    headers = None
    if isinstance(error, TooManyAttempts):
        headers = {"retry-after": str(math.ceil(error.retry_after))}
    return shown(
        request, template, status=STATUS[error.code], headers=headers, faults=faults_of(error),
        **values,
    )  # fmt: skip


def shown(request: Request, template: str, **values: Any) -> Response:
    """A page with a form."""
    return page(request, template, **{"faults": {}, **values})
