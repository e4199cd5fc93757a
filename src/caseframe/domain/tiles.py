"""Addresses of map tiles: a template that ends up in pages and in their content policy."""

from __future__ import annotations

import re

_SERVER = r"https?://(\{s\}\.)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/"
# Nothing that could end an attribute or a directive of the policy, and no place for a password.
_PATH = r"[A-Za-z0-9._~!$&()*+,=:@/?%{}-]*"
_TEMPLATE = re.compile(_SERVER + _PATH)
_PLACES = ("{z}", "{x}", "{y}")
_HOW = "such as https://tiles.example.org/{z}/{x}/{y}.png"


def tile_template(url: str) -> str:
    """The template, if it is one. Raises ValueError that says what one looks like."""
    server, _, path = url.partition("://")[2].partition("/")
    if not _TEMPLATE.fullmatch(url) or not server:
        raise ValueError(f"this is no http or https address of tiles; give one {_HOW}")
    absent = [place for place in _PLACES if place not in path]
    if absent:
        raise ValueError(f"{', '.join(absent)} is missing in its path; give one {_HOW}")
    return url
