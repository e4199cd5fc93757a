"""The sign-in page, which also stands wherever somebody asks for more than visitors may see."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Request, Response

from caseframe.web.render import page
from caseframe.web.security import SAFE_METHODS

START = "/"


def own_path(text: str | None) -> str:
    """An address of this site to go to, or the start for anything that could lead elsewhere.

    Browsers take a backslash for a slash and drop tabs and line ends, so those are not looked at
    any further.
    """
    if not text or not text.startswith("/") or text.startswith("//") or len(text) > 4096:
        return START
    if "\\" in text or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in text):
        return START
    try:
        parts = urlsplit(text)
    except ValueError:
        return START
    return START if parts.scheme or parts.netloc else text


def here_again(request: Request) -> str:
    """The address of this request, to come back to after signing in; the start for forms."""
    if request.method not in SAFE_METHODS:
        return START
    query = f"?{request.url.query}" if request.url.query else ""
    return own_path(request.url.path + query)


def sign_in_page(
    request: Request,
    *,
    status: int = 200,
    target: str = START,
    email: str = "",
    fault: str = "",
    unconfirmed: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The form, with what was typed but the password; afterwards it leads to `target`.

    `unconfirmed` offers the mail that confirms the address once more.
    """
    services = request.app.state.services
    return page(
        request, "sign_in.html", status=status, headers=headers, target=own_path(target),
        email=email, fault=fault, unconfirmed=unconfirmed,
        buttons=services.providers.providers(), policy=services.accounts.policy(),
    )  # fmt: skip
