"""Where signing in may lead, what devices are called, which field a fault is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseframe.accounts.rules import email_faults, name_faults, password_faults
from caseframe.domain.access import EmailTaken, InvalidInput, KeyRefused
from caseframe.web.device import device
from caseframe.web.door import START, own_path
from caseframe.web.pages.forms import faults_of


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/jobs/1/gallery?text=a%20b&x=1", "/a:b//c?next=//x"]
)
def test_paths_of_our_own_are_kept(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        None, "", "jobs", "//evil.example.org", "///evil.example.org", "https://evil.example.org",
        "/\\evil.example.org", "\\/evil.example.org", "/\t/evil.example.org", "/\n/evil",
        " //evil.example.org", "javascript:alert(1)", "/jobs\r\nset-cookie: a=b", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_everything_else_leads_to_the_start(text: str | None) -> None:
    assert own_path(text) == START


@given(st.text(alphabet="/\\:.@?#\t\n\r abc%2f", max_size=12))
def test_no_text_leads_to_another_host(text: str) -> None:
    found = own_path(text)
    # What browsers drop and what they take for a slash (URL Standard, 4.4).
    seen = "".join(c for c in found if c not in "\t\n\r").replace("\\", "/")
    assert seen.startswith("/")
    assert not seen.startswith("//")


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
         "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
         "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
         "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15.0; rv:143.0) Firefox/143.0",
         "Firefox on macOS"),
        ("python-httpx/0.28", "a Python program"),
        ("", "an unknown program"),
        ("Backup " * 20, ("Backup " * 20)[:60]),
    ],
)  # fmt: skip
def test_devices_have_names_that_people_know(agent: str, words: str) -> None:
    assert device(agent) == words


def test_every_rule_finds_its_field() -> None:
    reasons = [
        *name_faults("first name", "4"), *name_faults("last name", "x" * 101 + "4"),
        *email_faults("nowhere"), *password_faults("\0"),
    ]  # fmt: skip
    found = faults_of(InvalidInput(*reasons))
    assert set(found) == {"first_name", "last_name", "email", "password"}
    assert sum(map(len, found.values())) == len(reasons)


def test_what_is_about_no_field_is_about_the_whole() -> None:
    assert set(faults_of(EmailTaken())) == {"email"}
    assert faults_of(KeyRefused("too old")) == {"": ["too old"]}
