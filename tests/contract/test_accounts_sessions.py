"""Signing in, sessions and passwords; each test over every implementation of accounts."""

from __future__ import annotations

import pytest
from tests.support.people import HERE, PASSWORD, Town, race

from caseframe.domain.access import (
    AccessError,
    InvalidInput,
    KeyRefused,
    NotThere,
    SignInRefused,
    TokenRefused,
    TooManyAttempts,
)
from caseframe.domain.people import (
    Client,
    Tokens,
    User,
    UserFilter,
)

NOBODY = "00000000-0000-4000-8000-000000000000"
OTHER_PASSWORD = "Another-horse-8"
ANNA = "anna@example.org"


def test_wrong_password_and_unknown_address_answer_the_same(town: Town) -> None:
    town.tokens()
    said = set()
    for email in (ANNA, "nobody@example.org", "not an address", "\x00", "\ud800@example.org"):
        with pytest.raises(SignInRefused) as error:
            town.accounts.sign_in(email, "Wrong-horse-7", HERE)
        said.add((type(error.value), str(error.value)))
    assert len(said) == 1


@pytest.mark.parametrize("password", ["", "\x00", "\ud800", "x" * 1_000_000])
def test_nonsense_passwords_are_only_wrong(town: Town, password: str) -> None:
    town.tokens()
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, password, HERE)


def test_a_refresh_token_works_once_and_its_re_use_ends_the_session(town: Town) -> None:
    first = town.tokens()
    second = town.accounts.refresh(first.refresh, HERE)
    third = town.accounts.refresh(second.refresh, HERE)
    assert town.accounts.validate(third.access).email == ANNA
    with pytest.raises(TokenRefused):
        town.accounts.refresh(first.refresh, HERE)
    for token in (first.access, second.access, third.access):
        with pytest.raises(TokenRefused):
            town.accounts.validate(token)
    with pytest.raises(TokenRefused):
        town.accounts.refresh(third.refresh, HERE)


def test_re_use_leaves_other_sessions_alone(town: Town) -> None:
    first = town.tokens()
    other = town.accounts.sign_in(ANNA, PASSWORD, HERE)
    town.accounts.refresh(first.refresh, HERE)
    with pytest.raises(TokenRefused):
        town.accounts.refresh(first.refresh, HERE)
    assert town.accounts.validate(other.access).email == ANNA


def test_of_racing_refreshes_at_most_one_wins(town: Town) -> None:
    pair = town.tokens()
    found = race(*[lambda: town.accounts.refresh(pair.refresh, HERE)] * 4)
    assert sum(isinstance(one, Tokens) for one in found) == 1
    assert sum(isinstance(one, TokenRefused) for one in found) == 3


def test_tokens_expire(town: Town) -> None:
    pair = town.tokens()
    assert pair.access_expires_at - town.clock() == town.local._parts.options.access_life
    town.clock.pass_by(minutes=14, seconds=58)
    assert town.accounts.validate(pair.access)
    town.clock.pass_by(seconds=2)
    with pytest.raises(TokenRefused, match="expired"):
        town.accounts.validate(pair.access)
    town.clock.pass_by(hours=23, minutes=45)
    with pytest.raises(TokenRefused, match="expired"):
        town.accounts.refresh(pair.refresh, HERE)


def test_each_kind_of_token_is_good_for_its_use_only(town: Town) -> None:
    pair = town.tokens()
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.refresh)
    with pytest.raises(TokenRefused):
        town.accounts.refresh(pair.access, HERE)
    assert town.accounts.validate(pair.access)


def test_sign_out_ends_this_session_only(town: Town) -> None:
    pair = town.tokens()
    other = town.accounts.sign_in(ANNA, PASSWORD, HERE)
    town.accounts.sign_out(town.accounts.validate(pair.access))
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)
    with pytest.raises(TokenRefused):
        town.accounts.refresh(pair.refresh, HERE)
    assert town.accounts.validate(other.access)


def test_sessions_are_listed_and_ended_by_their_owner_only(town: Town) -> None:
    anna = town.member()
    phone = town.accounts.sign_in(ANNA, PASSWORD, Client("198.51.100.7", "Phone\n/2"))
    eva = town.member("eva@example.org")
    listed = town.accounts.sessions(anna)
    assert {s.user_agent for s in listed} == {"Test/1.0", "Phone/2"}
    assert [s.id for s in listed if s.current] == [anna.session_id]
    there = next(s.id for s in listed if not s.current)
    for wrong in (there, NOBODY, "\x00", "x" * 1000):
        with pytest.raises(NotThere):
            town.accounts.end_session(eva, wrong)
    town.accounts.end_session(anna, there)
    with pytest.raises(TokenRefused):
        town.accounts.validate(phone.access)
    with pytest.raises(NotThere):
        town.accounts.end_session(anna, there)


def test_all_other_sessions_end_at_once(town: Town) -> None:
    anna = town.member()
    others = [town.accounts.sign_in(ANNA, PASSWORD, HERE) for _ in range(2)]
    assert town.accounts.end_other_sessions(anna) == 2
    for pair in others:
        with pytest.raises(TokenRefused):
            town.accounts.validate(pair.access)
    assert town.accounts.validate(anna.token)


def test_a_changed_password_ends_all_sessions_and_starts_one(town: Town) -> None:
    anna = town.member()
    other = town.accounts.sign_in(ANNA, PASSWORD, HERE)
    with pytest.raises(SignInRefused):
        town.accounts.change_password(anna, "Wrong-horse-7", OTHER_PASSWORD, HERE)
    with pytest.raises(InvalidInput):
        town.accounts.change_password(anna, PASSWORD, "weak", HERE)
    pair = town.accounts.change_password(anna, PASSWORD, OTHER_PASSWORD, HERE)
    for token in (anna.token, other.access):
        with pytest.raises(TokenRefused):
            town.accounts.validate(token)
    assert town.accounts.validate(pair.access).email == ANNA
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, PASSWORD, HERE)
    assert town.accounts.sign_in(ANNA, OTHER_PASSWORD, HERE)
    town.local.flush_mail()
    assert "was changed" in town.mailer.mails[-1].text


def test_a_forgotten_password_is_set_anew_by_mail_once(town: Town) -> None:
    pair = town.tokens()
    town.accounts.forgot_password("ANNA@example.org", HERE)
    town.local.flush_mail()
    key = town.mailer.key()
    with pytest.raises(InvalidInput):
        town.accounts.reset_password(key, "weak")
    found = race(*[lambda: town.accounts.reset_password(key, OTHER_PASSWORD)] * 3)
    assert sum(isinstance(one, User) for one in found) == 1
    assert sum(isinstance(one, KeyRefused) for one in found) == 2
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)
    assert town.accounts.sign_in(ANNA, OTHER_PASSWORD, HERE)


def test_a_reset_by_mail_proves_the_address(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    town.accounts.forgot_password(ANNA, HERE)
    town.local.flush_mail()
    assert town.accounts.reset_password(town.mailer.key(), OTHER_PASSWORD).verified_at
    assert town.accounts.sign_in(ANNA, OTHER_PASSWORD, HERE)


def test_a_name_can_be_changed_and_found(town: Town) -> None:
    root = town.administrator()
    town.accounts.rename(root, " Ève ", "O’Brien-Łuka")
    assert town.accounts.user(root).name == "Ève O’Brien-Łuka"
    assert town.accounts.validate(root.token).first_name == "Ève"
    assert town.accounts.users(root, UserFilter(text="èVE łuka")).users
    with pytest.raises(InvalidInput):
        town.accounts.rename(root, "<b>", "x")


def _wrong(town: Town, email: str) -> AccessError:
    with pytest.raises(AccessError) as error:
        town.accounts.sign_in(email, "Wrong-horse-7", HERE)
    return error.value


def test_fifty_failures_end_in_a_refusal_with_a_time(town: Town) -> None:
    """S13, for one account and, from one address, for many accounts."""
    town.tokens()
    for emails in ([ANNA] * 50, [f"user{n}@example.org" for n in range(50)]):
        last = [_wrong(town, email) for email in emails][-1]
        assert isinstance(last, TooManyAttempts)
        assert 1 <= last.retry_after <= 15 * 60
    with pytest.raises(TooManyAttempts):
        town.accounts.sign_in(ANNA, PASSWORD, Client("203.0.113.9"))


def test_success_is_not_counted(town: Town) -> None:
    town.tokens()
    for _ in range(35):
        assert town.accounts.sign_in(ANNA, PASSWORD, HERE)


def test_mail_to_one_address_is_bounded(town: Town) -> None:
    town.tokens()
    for _ in range(4):  # the mail of the sign-up was the first
        town.accounts.forgot_password(ANNA, Client())
    with pytest.raises(TooManyAttempts):
        town.accounts.forgot_password(ANNA, Client())
    town.local.flush_mail()
    assert len(town.mailer.mails) == 5
