"""Password digests: their form, their cost, and how many are made at once."""

from __future__ import annotations

import threading

import pytest

from caseframe.accounts.passwords import PasswordOptions, Passwords
from caseframe.domain.access import AccountsAway

CHEAP = PasswordOptions(memory_kib=64, passes=1, lanes=1)


def test_a_digest_is_argon2id_with_salt_and_the_set_cost() -> None:
    passwords = Passwords(CHEAP)
    first, second = passwords.digest("Correct-horse-7"), passwords.digest("Correct-horse-7")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert passwords.check("Correct-horse-7", first) == (True, None)
    assert passwords.check("correct-horse-7", first) == (False, None)


def test_the_defaults_follow_rfc_9106() -> None:
    options = PasswordOptions()
    assert (options.memory_kib, options.passes) == (65536, 3)


def test_two_ways_to_type_an_accent_are_one_password() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.check("E\u0301t\u00e9-12345", passwords.digest("\u00c9te\u0301-12345"))[0]


def test_without_a_digest_nothing_is_right() -> None:
    passwords = Passwords(CHEAP)
    for guess in ("", "no password has this digest", "Correct-horse-7"):
        assert passwords.check(guess, None) == (False, None)


@pytest.mark.parametrize("password", ["", "\x00", "\ud800", "x" * 10_000_000])
def test_nonsense_is_wrong_and_raises_nothing(password: str) -> None:
    passwords = Passwords(CHEAP)
    assert passwords.check(password, passwords.digest("Correct-horse-7")) == (False, None)


def test_a_new_cost_gives_a_new_digest_at_the_next_right_password() -> None:
    before = Passwords(CHEAP).digest("Correct-horse-7")
    dearer = Passwords(PasswordOptions(memory_kib=128, passes=1, lanes=1))
    assert dearer.check("wrong", before) == (False, None)
    right, better = dearer.check("Correct-horse-7", before)
    assert right
    assert better is not None
    assert "m=128" in better


def test_nobody_waits_for_ever_for_a_turn() -> None:
    passwords = Passwords(
        PasswordOptions(memory_kib=64, passes=1, lanes=1, at_once=1, wait_seconds=0.01)
    )
    with passwords._turn(), pytest.raises(AccountsAway):
        passwords.digest("Correct-horse-7")
    assert passwords.digest("Correct-horse-7")


def test_turns_are_given_back_when_many_ask() -> None:
    passwords = Passwords(PasswordOptions(memory_kib=64, passes=1, lanes=1, at_once=2))
    digest, right = passwords.digest("Correct-horse-7"), []
    threads = [
        threading.Thread(target=lambda: right.append(passwords.check("Correct-horse-7", digest)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [(True, None)] * 16
