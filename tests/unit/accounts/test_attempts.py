"""Brute force: what is counted, for whom, and until when."""

from __future__ import annotations

import threading

import pytest
from tests.support.people import race

from caseframe.accounts.attempts import AttemptOptions, Attempts
from caseframe.domain.access import SignInRefused, TooManyAttempts

FEW = AttemptOptions(account_failures="3 per hour", address_failures="6 per hour",
                     account_mails="2 per hour", address_mails="3 per hour")  # fmt: skip


def fail(attempts: Attempts, account: str, address: str) -> None:
    with pytest.raises(SignInRefused), attempts.sign_in(account, address):
        raise SignInRefused


def refused(attempts: Attempts, account: str, address: str) -> int:
    with pytest.raises(TooManyAttempts) as error, attempts.sign_in(account, address):
        pytest.fail("was let in")
    return error.value.retry_after


def test_an_account_is_closed_after_failures_from_anywhere() -> None:
    attempts = Attempts(FEW)
    for n in range(3):
        fail(attempts, "anna", f"192.0.2.{n}")
    assert 1 <= refused(attempts, "anna", "192.0.2.77") <= 3600
    with attempts.sign_in("eva", "192.0.2.77"):
        pass


def test_an_address_is_closed_after_failures_on_any_account() -> None:
    attempts = Attempts(FEW)
    for n in range(6):
        fail(attempts, f"user{n}", "192.0.2.1")
    assert refused(attempts, "somebody", "192.0.2.1") >= 1
    with attempts.sign_in("somebody", "192.0.2.2"):
        pass


@pytest.mark.parametrize(
    ("first", "then"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), ("::ffff:192.0.2.1", "192.0.2.1")],
)
def test_one_line_is_one_address(first: str, then: str) -> None:
    attempts = Attempts(FEW)
    for n in range(6):
        fail(attempts, f"user{n}", first)
    refused(attempts, "somebody", then)
    with attempts.sign_in("somebody", "2001:db8:1:3::1"):
        pass


def test_success_and_other_errors_count_nothing() -> None:
    attempts = Attempts(FEW)
    for _ in range(20):
        with attempts.sign_in("anna", "192.0.2.1"):
            pass
        with pytest.raises(ValueError, match="x"), attempts.sign_in("anna", "192.0.2.1"):
            raise ValueError("x")
    with attempts.sign_in("anna", "192.0.2.1"):
        pass


def test_a_burst_gets_no_further_than_one_after_the_other() -> None:
    attempts, inside = Attempts(FEW), threading.Semaphore(0)
    done = threading.Event()

    def one() -> str:
        try:
            with attempts.sign_in("anna", ""):
                inside.release()
                done.wait(30)
                raise SignInRefused
        except SignInRefused:
            return "tried"
        except TooManyAttempts:
            return "refused"

    def open_the_door() -> str:
        for _ in range(3):
            inside.acquire()
        done.set()
        return "door"

    found = race(open_the_door, *[one] * 20)
    assert found.count("tried") == 3
    assert found.count("refused") == 17
    assert attempts._at_work == {}


def test_mails_are_counted_when_asked_for() -> None:
    attempts = Attempts(FEW)
    for _ in range(2):
        attempts.mail("anna", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        attempts.mail("anna", "192.0.2.2")
    attempts.mail("eva", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        attempts.mail("uli", "192.0.2.1")


def test_an_unknown_address_is_not_everybodys() -> None:
    attempts = Attempts(FEW)
    for n in range(20):
        fail(attempts, f"user{n}", "")
    with attempts.sign_in("anna", ""):
        pass
