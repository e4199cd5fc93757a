"""How people come to have an account; each test over every implementation of accounts."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.support.people import HERE, PASSWORD, Town, Towns, race

from caseframe.catalog.account_tables import keys, sessions, users
from caseframe.domain.access import (
    AccountDisabled,
    AccountsAway,
    Conflict,
    EmailTaken,
    InvalidInput,
    KeyRefused,
    NotThere,
    NotVerified,
    Role,
    SignInRefused,
    SignUpPolicy,
    SignUpRefused,
)
from caseframe.domain.people import (
    Client,
    ExternalIdentity,
    NewAccount,
    Tokens,
    User,
)

NOBODY = "00000000-0000-4000-8000-000000000000"
OTHER_PASSWORD = "Another-horse-8"
ANNA = "anna@example.org"


def test_from_sign_up_to_a_session(town: Town) -> None:
    user = town.accounts.sign_up(town.new(), HERE)
    assert (user.email, user.name, user.role) == (ANNA, "Anna Nyström", Role.VIEWER)
    assert user.verified_at is None
    with pytest.raises(NotVerified):
        town.accounts.sign_in(ANNA, PASSWORD, HERE)
    assert town.accounts.verify(town.mailer.key()).verified_at == town.clock()
    pair = town.accounts.sign_in("  Anna@Example.ORG ", PASSWORD, HERE)
    principal = town.accounts.validate(pair.access)
    assert (principal.user_id, principal.email, principal.role) == (user.id, ANNA, Role.VIEWER)
    assert principal.token == pair.access
    assert town.accounts.user(principal).last_seen_at == town.clock()


def test_the_mail_goes_to_the_new_user_with_a_link_here(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    mail = town.mailer.mails[-1]
    assert mail.to == ANNA
    link = f"https://case.example.org/auth/verify?key={town.mailer.key()}"
    assert link in mail.text
    assert link in mail.html


def test_every_broken_rule_is_told_at_once(town: Town) -> None:
    with pytest.raises(InvalidInput) as error:
        town.accounts.sign_up(NewAccount("R2-D2", "", "nobody", "short"), HERE)
    said = str(error.value)
    for word in ("first name", "last name", "e-mail", "8 to 128", "upper", "digit", "symbol"):
        assert word in said
    assert len(error.value.reasons) == 7
    assert "short" not in said


@pytest.mark.parametrize("second", [ANNA, "ANNA@example.org", " anna@EXAMPLE.org "])
def test_an_address_has_one_account(town: Town, second: str) -> None:
    town.accounts.sign_up(town.new(), HERE)
    with pytest.raises(EmailTaken):
        town.accounts.sign_up(town.new(second), HERE)


def test_of_racing_sign_ups_one_wins(town: Town) -> None:
    found = race(*[lambda: town.accounts.sign_up(town.new(), Client())] * 4)
    assert sum(isinstance(one, User) for one in found) == 1
    assert sum(isinstance(one, EmailTaken) for one in found) == 3, found


def test_a_verification_key_works_once(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    found = race(*[lambda: town.accounts.verify(town.mailer.key())] * 4)
    assert sum(isinstance(one, User) for one in found) == 1
    assert sum(isinstance(one, KeyRefused) for one in found) == 3


def test_a_verification_key_is_good_for_thirty_minutes(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    town.clock.pass_by(minutes=30)
    with pytest.raises(KeyRefused):
        town.accounts.verify(town.mailer.key())


def test_a_new_mail_makes_the_old_link_useless(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    before = town.mailer.key()
    town.accounts.send_verification(ANNA, HERE)
    town.local.flush_mail()
    with pytest.raises(KeyRefused):
        town.accounts.verify(before)
    assert town.accounts.verify(town.mailer.key()).email == ANNA


@pytest.mark.parametrize("email", ["nobody@example.org", "root@example.org"])
def test_asking_for_mail_tells_nobody_who_has_an_account(town: Town, email: str) -> None:
    town.administrator()
    town.accounts.send_verification(email, HERE)
    town.accounts.forgot_password("nobody@example.org", HERE)
    town.local.flush_mail()
    assert town.mailer.mails == []


def test_keys_fit_one_purpose_only(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    key = town.mailer.key()
    with pytest.raises(KeyRefused):
        town.accounts.reset_password(key, OTHER_PASSWORD)
    with pytest.raises(KeyRefused):
        town.accounts.accept_invitation(key, town.new("x@example.org"), HERE)
    with pytest.raises(KeyRefused):
        town.accounts.create_first_administrator(key, town.new("x@example.org"), HERE)


@pytest.mark.parametrize("key", ["", "x", "\x00", "\ud800", "' OR 1=1 --", "9" * 100_000, NOBODY])
def test_nonsense_keys_are_refused(town: Town, key: str) -> None:
    for use in (
        town.accounts.verify,
        town.accounts.invitation,
        lambda k: town.accounts.reset_password(k, PASSWORD),
    ):
        with pytest.raises(KeyRefused):
            use(key)


def test_only_digests_of_secrets_are_stored(town: Town) -> None:
    pair = town.tokens()
    town.accounts.forgot_password(ANNA, HERE)
    town.local.flush_mail()
    with town.catalog.read() as connection:
        rows = [repr(connection.execute(select(t)).all()) for t in (users, sessions, keys)]
    for secret in (PASSWORD, pair.access, pair.refresh, town.mailer.key()):
        assert not any(secret in row for row in rows)


def test_a_sign_up_whose_mail_fails_says_so_and_can_be_mended(town: Town) -> None:
    town.mailer.error = AccountsAway("the mail server does not answer")
    with pytest.raises(AccountsAway, match="your account is made"):
        town.accounts.sign_up(town.new(), HERE)
    town.mailer.error = None
    town.accounts.send_verification(ANNA, HERE)
    town.local.flush_mail()
    assert town.accounts.verify(town.mailer.key()).email == ANNA


@pytest.mark.parametrize("policy", [SignUpPolicy.INVITED, SignUpPolicy.CLOSED])
def test_strangers_stay_out_where_the_policy_says_so(towns: Towns, policy: str) -> None:
    town = towns(policy=policy)
    assert town.accounts.policy() == policy
    with pytest.raises(SignUpRefused):
        town.accounts.sign_up(town.new(), HERE)


def test_an_invitation_brings_its_role_and_works_once(towns: Towns) -> None:
    town = towns(policy=SignUpPolicy.INVITED)
    root = town.administrator()
    made = town.accounts.invite(root, "Eva@Example.org", Role.EXAMINER)
    key = town.mailer.key()
    assert town.accounts.invitation(key) == made
    assert town.accounts.invitations(root) == [made]
    pair = town.accounts.accept_invitation(key, town.new("other@example.org"), HERE)
    eva = town.accounts.validate(pair.access)
    assert (eva.email, eva.role) == ("Eva@Example.org", Role.EXAMINER)
    with pytest.raises(KeyRefused):
        town.accounts.accept_invitation(key, town.new(), HERE)
    assert town.accounts.invitations(root) == []
    with pytest.raises(EmailTaken):
        town.accounts.invite(root, "eva@example.org", Role.VIEWER)


def test_an_invitation_survives_bad_input_and_ends_when_replaced_or_withdrawn(
    towns: Towns,
) -> None:
    town = towns(policy=SignUpPolicy.INVITED)
    root = town.administrator()
    town.accounts.invite(root, "eva@example.org", Role.VIEWER)
    first = town.mailer.key()
    with pytest.raises(InvalidInput):
        town.accounts.accept_invitation(first, town.new(password="weak"), HERE)
    assert town.accounts.invitation(first).email == "eva@example.org"
    second = town.accounts.invite(root, "eva@example.org", Role.VIEWER)
    with pytest.raises(KeyRefused):
        town.accounts.invitation(first)
    town.accounts.withdraw_invitation(root, second.id)
    with pytest.raises(KeyRefused):
        town.accounts.invitation(town.mailer.key())
    with pytest.raises(NotThere):
        town.accounts.withdraw_invitation(root, second.id)


def test_the_first_administrator_needs_the_last_key_that_was_given(town: Town) -> None:
    old, good = town.accounts.first_key(), town.accounts.first_key()
    assert old is not None
    assert good is not None
    with pytest.raises(KeyRefused):
        town.accounts.create_first_administrator(old, town.new(), HERE)
    with pytest.raises(KeyRefused):
        town.accounts.check_first_key(old)
    town.accounts.check_first_key(good)  # and using it is another call
    pair = town.accounts.create_first_administrator(good, town.new(), HERE)
    assert town.accounts.validate(pair.access).role is Role.ADMINISTRATOR
    assert town.accounts.first_key() is None
    with pytest.raises(Conflict):
        town.accounts.create_first_administrator(good, town.new("b@example.org"), HERE)
    with pytest.raises(Conflict):
        town.accounts.check_first_key(good)


def test_of_racing_first_administrators_one_wins(town: Town) -> None:
    key = town.accounts.first_key() or ""
    found = race(
        *[
            lambda n=n: town.accounts.create_first_administrator(
                key, town.new(f"r{n}@example.org"), HERE
            )
            for n in range(3)
        ]
    )
    assert sum(isinstance(one, Tokens) for one in found) == 1
    assert sum(isinstance(one, Conflict) for one in found) == 2


def someone(email: str = ANNA, subject: str = "1") -> ExternalIdentity:
    return ExternalIdentity("hub", subject, email, "Anna", "Nyström")


def test_somebody_new_from_a_provider(town: Town) -> None:
    pair = town.accounts.sign_in_with_identity(someone(), HERE)
    anna = town.accounts.validate(pair.access)
    user = town.accounts.user(anna)
    assert (user.email, user.name, user.has_password) == (ANNA, "Anna Nyström", False)
    assert user.verified_at is not None
    assert town.accounts.providers_of(anna) == ("hub",)
    again = town.accounts.sign_in_with_identity(someone("new@example.org"), HERE)
    assert town.accounts.validate(again.access).user_id == anna.user_id
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, "", HERE)


def test_a_verified_account_is_linked_and_an_unverified_never(town: Town) -> None:
    town.accounts.sign_up(town.new(), HERE)
    with pytest.raises(Conflict, match="waits to be confirmed"):
        town.accounts.sign_in_with_identity(someone(), HERE)
    town.accounts.verify(town.mailer.key())
    pair = town.accounts.sign_in_with_identity(someone("ANNA@example.org"), HERE)
    linked = town.accounts.user(town.accounts.validate(pair.access))
    assert linked.has_password
    assert town.accounts.sign_in(ANNA, PASSWORD, HERE)


def test_of_racing_first_sign_ins_all_get_the_same_account(town: Town) -> None:
    found = race(*[lambda: town.accounts.sign_in_with_identity(someone(), HERE)] * 4)
    pairs = [one for one in found if isinstance(one, Tokens)]
    assert len(pairs) == 4, found
    assert len({town.accounts.validate(pair.access).user_id for pair in pairs}) == 1


def test_a_disabled_user_does_not_come_in_by_a_provider(town: Town) -> None:
    root = town.administrator()
    pair = town.accounts.sign_in_with_identity(someone(), HERE)
    town.accounts.disable(root, town.accounts.validate(pair.access).user_id)
    with pytest.raises(AccountDisabled):
        town.accounts.sign_in_with_identity(someone(), HERE)
    with pytest.raises(AccountDisabled):
        town.accounts.sign_in_with_identity(someone(subject="2"), HERE)


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [("", "", "anna s"), ("<b>", "1", "anna s"), ("Ann\x00", "Ny\ud800", "anna s"),
     ("Ann", "<script>", "Ann"), ("x" * 1000, "y" * 1000, "anna s")],
)  # fmt: skip
def test_names_from_a_provider_follow_our_rules(
    town: Town, first: str, last: str, name: str
) -> None:
    identity = ExternalIdentity("hub", "1", "anna.s2@example.org", first, last)
    pair = town.accounts.sign_in_with_identity(identity, HERE)
    assert town.accounts.user(town.accounts.validate(pair.access)).name.strip() == name


def test_the_policy_holds_for_providers_too(towns: Towns) -> None:
    town = towns(policy=SignUpPolicy.INVITED)
    root = town.administrator()
    with pytest.raises(SignUpRefused):
        town.accounts.sign_in_with_identity(someone(), HERE)
    town.accounts.invite(root, "Anna@example.org", Role.EXAMINER)
    pair = town.accounts.sign_in_with_identity(someone(), HERE)
    assert town.accounts.validate(pair.access).role is Role.EXAMINER
    assert town.accounts.invitations(root) == []
    closed = towns(policy=SignUpPolicy.CLOSED)
    with pytest.raises(SignUpRefused):
        closed.accounts.sign_in_with_identity(someone("b@example.org", "2"), HERE)
    assert closed.accounts.sign_in_with_identity(someone(), HERE)
    with pytest.raises(SignUpRefused):
        closed.accounts.invite(root, "b@example.org", Role.VIEWER)
