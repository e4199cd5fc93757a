"""Names, addresses and passwords: what is taken, what is refused, and with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseframe.accounts.rules import (
    check,
    email_faults,
    email_key,
    identifier,
    mail_address,
    name_faults,
    password_faults,
    tidy_name,
)
from caseframe.domain.access import InvalidInput, NotThere


@pytest.mark.parametrize(
    "name",
    ["Anna", "Ève", "O'Brien", "O’Brien", "Jean-Luc", "María José", "Łukasz", "李小龙", "अनुराग",
     "עמית", "Иван", "Nguyễn Văn", "ʻOkina", "E\u0301ve", "Å", " Anna "],
)  # fmt: skip
def test_names_of_any_script(name: str) -> None:
    assert name_faults("first name", name) == []


@pytest.mark.parametrize(
    "name",
    ["", " ", "-", "'", "R2", "a@b", "<b>x</b>", "a\nb", "a\r\nBcc: x", "a\x00b", "a\ud800",
     "a\u202eb", "a\u200bb", "😀", "a/b", "=cmd()", "x" * 101, "\u0301"],
)  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    assert len(name_faults("first name", name)) == 1
    assert "first name" in name_faults("first name", name)[0]


def test_names_are_stored_composed() -> None:
    assert tidy_name("  E\u0301ve   Marie ") == "Éve Marie"


@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("anna@example.org", "anna@example.org"),
        (" Anna@Example.ORG ", "anna@example.org"),
        ("a.b+c@sub.example.org", "a.b+c@sub.example.org"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_addresses_and_what_makes_them_the_same(email: str, key: str) -> None:
    assert email_faults(email) == []
    assert email_key(email) == key


@pytest.mark.parametrize(
    "email",
    ["", "@", "anna", "anna@", "@example.org", "anna@localhost", "a b@example.org",
     "anna@exa mple.org", "anna@@example.org", "anna@example..org", ".anna@example.org",
     "anna.@example.org", "an..na@example.org", "anna@-example.org", "anna@example-.org",
     "anna@example.org\r\nBcc: eve@example.org", "anna@example.org\n", "a\x00@example.org",
     "\ud800@example.org", "anna@\ud800.org", "änna@example.org", "anna@[127.0.0.1]",
     "Anna <anna@example.org>", "a,b@example.org", "a" * 65 + "@example.org",
     "a@" + "b" * 64 + ".org", "a@" + ".".join(["b" * 60] * 5), "a" * 10_000_000,
     "a@" + "é" * 100_000, "anna@example.org,eve@example.org", "anna@example.org "  + "\t"],
)  # fmt: skip
def test_what_is_no_address(email: str) -> None:
    assert len(email_faults(email)) == 1
    for refuse in (email_key, mail_address):
        with pytest.raises(InvalidInput):
            refuse(email)


@given(st.text())
def test_no_text_breaks_the_rules_of_addresses(text: str) -> None:
    for candidate in (text, f"{text}@example.org", f"anna@{text}"):
        if not email_faults(candidate):
            address = mail_address(candidate)
            assert address.isascii()
            assert address.isprintable()
            assert " " not in address
            assert email_key(address) == email_key(candidate)


@pytest.mark.parametrize(
    "password", ["Aa1!aaaa", "Correct-horse-7", "Ünïcode§9x", "Пароль-7", "A" * 125 + "a1!"]
)
def test_good_passwords(password: str) -> None:
    assert password_faults(password) == []


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("Aa1!aaa", ["8 to 128"]),
        ("A" * 126 + "a1!", ["8 to 128"]),
        ("AAAA1!AA", ["lower-case"]),
        ("aaaa1!aa", ["upper-case"]),
        ("aaaaA!aa", ["digit"]),
        ("aaaaA1aa", ["symbol"]),
        ("aaaa A1 aa", ["symbol"]),
        ("Aa1!aa\x00a", ["control"]),
        ("Aa1!aa\ud800a", ["control"]),
        ("", ["8 to 128", "lower-case", "upper-case", "digit", "symbol"]),
    ],
)
def test_each_broken_rule_is_named(password: str, words: list[str]) -> None:
    found = password_faults(password)
    assert len(found) == len(words)
    for fault, word in zip(found, words, strict=True):
        assert word in fault


def test_all_faults_are_raised_together() -> None:
    with pytest.raises(InvalidInput) as error:
        check(["one"], [], ["two", "three"])
    assert error.value.reasons == ("one", "two", "three")
    assert str(error.value) == "one; two; three"


@pytest.mark.parametrize("text", ["", "1", "\x00", "{0}", "0" * 36, "\ud800"])
def test_only_ids_pass_for_ids(text: str) -> None:
    with pytest.raises(NotThere, match="no such job"):
        identifier(text, "job")
