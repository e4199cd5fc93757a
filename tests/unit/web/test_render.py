"""What templates show: escaped, isolated, and in words that people read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from caseframe.web import render

MARKUP = "<script>alert(1)</script>\"'&"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;"


def test_text_from_evidence_is_escaped_and_isolated() -> None:
    assert str(render.foreign(MARKUP)) == f'<bdi class="foreign">{ESCAPED}</bdi>'
    assert str(render.foreign(None)) == '<bdi class="foreign"></bdi>'
    assert str(render.foreign(42)) == '<bdi class="foreign">42</bdi>'
    assert "\u202e" in str(render.foreign("photo\u202egpj.exe"))


def test_every_template_escapes_by_itself() -> None:
    made = render._environment().from_string("{{ x }}|{{ x | foreign }}|<p title='{{ x }}'>")
    shown = made.render(x=MARKUP)
    assert "<script>" not in shown
    assert shown.count(ESCAPED) == 3


def test_a_value_that_a_template_misses_is_an_error_and_no_empty_text() -> None:
    from jinja2 import UndefinedError  # noqa: PLC0415

    with pytest.raises(UndefinedError):
        render._environment().from_string("{{ nothing }}").render()


def test_labels_of_icons_are_escaped() -> None:
    shown = str(render.icon("photo", MARKUP))
    assert "<script>" not in shown
    assert f'aria-label="{ESCAPED}"' in shown
    assert 'aria-hidden="true"' in str(render.icon("photo"))


def test_times_are_in_utc_whatever_zone_they_came_in() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    shown = str(render.moment(datetime(2026, 3, 1, 4, 0, tzinfo=east)))
    assert 'datetime="2026-02-28T22:30:00+00:00"' in shown
    assert ">2026-02-28 22:30:00 UTC</time>" in shown
    assert str(render.moment(None)) == ""
    assert "1970" in str(render.moment(datetime.fromtimestamp(0, UTC)))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, ""), (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (164_321, "164.3 kB"),
        (999_999, "1,000.0 kB"), (10**6, "1.0 MB"), (5 * 10**9, "5.0 GB"),
        (2 * 10**15, "2,000.0 TB"),
    ],
)  # fmt: skip
def test_sizes(size: int | None, words: str) -> None:
    assert render.bytes_words(size) == words


def test_numbers_with_their_nouns_and_durations() -> None:
    assert render.count_words(1, "picture") == "1 picture"
    assert render.count_words(0, "picture") == "0 pictures"
    assert render.count_words(2000, "copy", "copies") == "2,000 copies"
    assert [render.seconds_words(s) for s in (None, 0, 42.4, 61, 3600, 12_000)] == [
        "", "0 s", "42 s", "1 min 1 s", "1 h 0 min", "3 h 20 min",
    ]  # fmt: skip


def test_an_address_of_a_static_file_changes_with_its_content() -> None:
    assert render.static_url("caseframe.css").startswith("/static/caseframe.css?v=")
    with pytest.raises(FileNotFoundError):
        render.static_url("nothing.css")
