"""HTML from templates. Everything is escaped; text that came out of evidence is also isolated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from caseframe import __version__
from caseframe.domain.evidence import path_text
from caseframe.web.said import forget, words_for

_STATIC = files("caseframe.web") / "static"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("caseframe.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        bytes=bytes_words,
        count=count_words,
        foreign=foreign,
        moment=moment,
        seconds=seconds_words,
        source_name=path_text,
    )
    made.globals.update(icon=icon, static=static_url, version=__version__)
    return made


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page; templates also get `request`, `me` (the Principal or None) and `options`."""
    me = getattr(request.state, "principal", None)
    options = request.app.state.services.options
    said = words_for(request)
    html = (
        _environment()
        .get_template(template)
        .render(request=request, me=me, options=options, said=said, **values)
    )
    answer = HTMLResponse(html, status, headers=dict(headers or {}))
    if said:
        forget(answer)
    return answer


@cache
def static_url(name: str) -> str:
    """Address of a static file; it changes with the content, so that it may be kept for ever."""
    digest = sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def icon(name: str, label: str = "") -> Markup:
    """An icon of the sprite; with a label where it stands for a word, else hidden from readers."""
    named = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return Markup(  # noqa: S704 - the label is escaped, the rest is ours
        f'<svg class="icon" {named}><use href="{static_url("vendor/icons.svg")}#{name}"/></svg>'
    )


def foreign(text: object) -> Markup:
    """Text from evidence: escaped, and its writing direction kept from what stands around it."""
    return Markup('<bdi class="foreign">{}</bdi>').format("" if text is None else str(text))


def moment(when: datetime | None) -> Markup:
    """A time: in UTC for those without scripts; scripts show it in the viewer's zone."""
    if when is None:
        return Markup("")
    at = when.astimezone(UTC)
    words = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), words, words)


def bytes_words(count: int | None) -> str:
    """A size in decimal units, as file managers show it."""
    if count is None:
        return ""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{int(size):,} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{count:,} bytes"


def count_words(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 picture, 2,000 pictures."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def seconds_words(seconds: float | None) -> str:
    """A duration for people: 42 s, 5 min 10 s, 3 h 20 min."""
    if seconds is None:
        return ""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
