"""What accounts do, once over SQLite and once over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from tests.support.people import HERE, PASSWORD, Town, race

from caseframe.catalog import jobs
from caseframe.catalog.account_tables import keys, sessions, users
from caseframe.catalog.database import Catalog
from caseframe.domain.access import (
    AccessError,
    AccountDisabled,
    AccountsAway,
    Conflict,
    EmailTaken,
    Forbidden,
    InvalidInput,
    JobsUndecided,
    KeyRefused,
    LastAdministrator,
    NotThere,
    NotVerified,
    Role,
    SignInRefused,
    SignUpRefused,
    TokenRefused,
    TooManyAttempts,
)
from caseframe.domain.errors import NotFound
from caseframe.domain.people import (
    Client,
    ExternalIdentity,
    JobsDecision,
    JobsThen,
    NewAccount,
    SignUpPolicy,
    Tokens,
    User,
    UserFilter,
)
from caseframe.domain.work import JobState

NOBODY = "00000000-0000-4000-8000-000000000000"
OTHER_PASSWORD = "Another-horse-8"
ANNA = "anna@example.org"


@pytest.fixture
def town(catalog: Catalog) -> Iterator[Town]:
    made = Town(catalog)
    yield made
    made.accounts.close()


def invited(catalog: Catalog) -> Town:
    return Town(catalog, policy=SignUpPolicy.INVITED)


# --- joining


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
def test_strangers_stay_out_where_the_policy_says_so(catalog: Catalog, policy: str) -> None:
    town = Town(catalog, policy=policy)
    assert town.accounts.policy() == policy
    with pytest.raises(SignUpRefused):
        town.accounts.sign_up(town.new(), HERE)
    town.accounts.close()


def test_an_invitation_brings_its_role_and_works_once(catalog: Catalog) -> None:
    town = invited(catalog)
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
    town.accounts.close()


def test_an_invitation_survives_bad_input_and_ends_when_replaced_or_withdrawn(
    catalog: Catalog,
) -> None:
    town = invited(catalog)
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
    town.accounts.close()


def test_the_first_administrator_needs_the_last_key_that_was_given(town: Town) -> None:
    old, good = town.accounts.first_key(), town.accounts.first_key()
    assert old is not None
    assert good is not None
    with pytest.raises(KeyRefused):
        town.accounts.create_first_administrator(old, town.new(), HERE)
    pair = town.accounts.create_first_administrator(good, town.new(), HERE)
    assert town.accounts.validate(pair.access).role is Role.ADMINISTRATOR
    assert town.accounts.first_key() is None
    with pytest.raises(Conflict):
        town.accounts.create_first_administrator(good, town.new("b@example.org"), HERE)


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


# --- signing in


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


# --- brute force


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


# --- administrators


def test_everybody_else_is_refused(town: Town) -> None:
    """S5: nobody raises their own role, or does anything to others."""
    root, anna = town.administrator(), town.member()
    a = town.accounts
    for call in (
        lambda: a.users(anna, UserFilter()),
        lambda: a.get_user(anna, root.user_id),
        lambda: a.set_role(anna, anna.user_id, Role.ADMINISTRATOR),
        lambda: a.disable(anna, root.user_id),
        lambda: a.enable(anna, anna.user_id),
        lambda: a.delete_user(anna, root.user_id),
        lambda: a.invite(anna, "x@example.org", Role.ADMINISTRATOR),
        lambda: a.invitations(anna),
        lambda: a.withdraw_invitation(anna, NOBODY),
    ):
        with pytest.raises(Forbidden):
            call()
    assert a.user(anna).role is Role.VIEWER


def test_an_administrator_of_a_moment_ago_is_refused(town: Town) -> None:
    root, other = town.administrator(), town.administrator("other@example.org")
    town.accounts.set_role(root, other.user_id, Role.VIEWER)
    with pytest.raises(Forbidden):
        town.accounts.set_role(other, other.user_id, Role.ADMINISTRATOR)


def test_users_are_listed_filtered_and_paged(town: Town) -> None:
    root = town.administrator()
    for n in range(7):
        town.accounts.sign_up(town.new(f"u{n}@example.org"), Client())
    seen, after = [], None
    while True:
        page = town.accounts.users(root, UserFilter(), after, 3)
        seen += [user.email for user in page.users]
        after = page.next
        if after is None:
            break
    assert seen == ["root@example.org", *(f"u{n}@example.org" for n in range(7))]

    def emails(**wanted: object) -> list[str]:
        found = town.accounts.users(root, UserFilter(**wanted))  # type: ignore[arg-type]
        return [user.email for user in found.users]

    assert emails(verified=True) == ["root@example.org"]
    assert len(emails(verified=False)) == 7
    assert emails(role=Role.ADMINISTRATOR) == ["root@example.org"]
    assert emails(disabled=True) == []
    assert emails(text="NYSTRÖM u3") == ["u3@example.org"]
    assert emails(text="100% _") == []
    assert emails(text="\x00\ud800") == []


@pytest.mark.parametrize(("after", "limit"), [("x", 10), ("\x00", 10), (None, 0), (None, 10_000)])
def test_nonsense_pages_are_refused(town: Town, after: str | None, limit: int) -> None:
    root = town.administrator()
    with pytest.raises(InvalidInput):
        town.accounts.users(root, UserFilter(), after, limit)


@pytest.mark.parametrize("number", [NOBODY, "", "\x00", "\ud800", "x" * 10_000, "' OR ''='"])
def test_users_that_are_not_there(town: Town, number: str) -> None:
    root, a = town.administrator(), town.accounts
    for call in (
        lambda: a.get_user(root, number),
        lambda: a.set_role(root, number, Role.VIEWER),
        lambda: a.disable(root, number),
        lambda: a.enable(root, number),
        lambda: a.delete_user(root, number),
        lambda: a.withdraw_invitation(root, number),
    ):
        with pytest.raises(NotThere):
            call()


def test_a_disabled_user_is_out_at_once_and_comes_back(town: Town) -> None:
    """S11."""
    root, pair = town.administrator(), town.tokens()
    anna = town.accounts.validate(pair.access)
    assert town.accounts.disable(root, anna.user_id).disabled_at
    assert town.accounts.disable(root, anna.user_id).disabled_at
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)
    with pytest.raises(TokenRefused):
        town.accounts.refresh(pair.refresh, HERE)
    with pytest.raises(AccountDisabled):
        town.accounts.sign_in(ANNA, PASSWORD, HERE)
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, "Wrong-horse-7", HERE)
    town.accounts.forgot_password(ANNA, HERE)
    town.local.flush_mail()
    assert "password" not in town.mailer.mails[-1].subject
    town.accounts.enable(root, anna.user_id)
    with pytest.raises(TokenRefused):
        town.accounts.validate(pair.access)
    assert town.accounts.sign_in(ANNA, PASSWORD, HERE)


def test_a_new_role_holds_at_once(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    town.accounts.set_role(root, anna.user_id, Role.EXAMINER)
    assert town.accounts.validate(anna.token).role is Role.EXAMINER


def test_the_last_administrator_stays(town: Town) -> None:
    root = town.administrator()
    unverified = town.accounts.sign_up(town.new(), HERE)
    town.accounts.set_role(root, unverified.id, Role.ADMINISTRATOR)  # who cannot sign in
    for call in (
        lambda: town.accounts.set_role(root, root.user_id, Role.EXAMINER),
        lambda: town.accounts.disable(root, root.user_id),
        lambda: town.accounts.delete_user(root, root.user_id),
    ):
        with pytest.raises(LastAdministrator):
            call()
    assert town.accounts.set_role(root, root.user_id, Role.ADMINISTRATOR)


@pytest.mark.parametrize("how", ["demote", "disable", "delete", "mixed"])
def test_administrators_who_race_to_remove_each_other_leave_one(town: Town, how: str) -> None:
    crowd = [town.administrator(f"a{n}@example.org") for n in range(4)]
    ways = {
        "demote": lambda who: town.accounts.set_role(who, who.user_id, Role.VIEWER),
        "disable": lambda who: town.accounts.disable(who, who.user_id),
        "delete": lambda who: town.accounts.delete_user(who, who.user_id),
    }
    chosen = [*ways.values(), ways["demote"]] if how == "mixed" else [ways[how]] * 4
    found = race(*[lambda w=w, a=a: w(a) for w, a in zip(chosen, crowd, strict=True)])
    assert sum(isinstance(one, LastAdministrator) for one in found) == 1, found
    with town.catalog.read() as connection:
        alive = connection.execute(
            select(users.c.id).where(
                users.c.role == Role.ADMINISTRATOR, users.c.disabled_at.is_(None)
            )
        ).all()
    assert len(alive) == 1


def owned(town: Town, owner: str, name: str = "a job") -> str:
    with town.catalog.begin() as connection:
        return jobs.create_job(connection, name, b"/source", ("exif",), owner_id=owner).id


def test_deleting_a_user_takes_everything_of_theirs(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    done = town.accounts.delete_user(root, anna.user_id)
    assert "no jobs" in done.said
    with pytest.raises(TokenRefused):
        town.accounts.validate(anna.token)
    with pytest.raises(SignInRefused):
        town.accounts.sign_in(ANNA, PASSWORD, HERE)
    with town.catalog.read() as connection:
        left = connection.execute(select(sessions.c.user_id)).scalars().all()
    assert anna.user_id not in left
    assert town.tokens()


def test_what_happens_to_jobs_is_asked_and_said(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    job = owned(town, anna.user_id)
    with pytest.raises(JobsUndecided) as error:
        town.accounts.delete_user(root, anna.user_id)
    assert error.value.count == 1
    decision = JobsDecision(JobsThen.HAND_OVER, root.user_id)
    done = town.accounts.delete_user(root, anna.user_id, decision)
    assert done.jobs == ((job, "a job"),)
    assert "1 job handed over" in done.said
    with town.catalog.read() as connection:
        assert jobs.get_job(connection, job).owner_id == root.user_id


def test_jobs_can_be_kept_or_deleted(town: Town) -> None:
    root = town.administrator()
    for then, email in ((JobsThen.KEEP, "k@example.org"), (JobsThen.DELETE, "d@example.org")):
        member = town.member(email)
        job = owned(town, member.user_id)
        done = town.accounts.delete_user(root, member.user_id, JobsDecision(then))
        assert done.jobs == ((job, "a job"),)
        with town.catalog.read() as connection:
            if then is JobsThen.KEEP:
                assert jobs.get_job(connection, job).owner_id is None
            else:
                with pytest.raises(NotFound):
                    jobs.get_job(connection, job)


def test_running_jobs_are_stopped_first(town: Town) -> None:
    root, anna = town.administrator(), town.member()
    job = owned(town, anna.user_id)
    with town.catalog.begin() as connection:
        jobs.start_job(connection, job, ())
    with pytest.raises(Conflict, match="stop them first"):
        town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.DELETE))
    with town.catalog.begin() as connection:
        jobs.end_job(connection, job, JobState.STOPPED)
    assert town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.DELETE))


def test_jobs_go_to_nobody_who_cannot_have_them(town: Town) -> None:
    root, anna, eva = town.administrator(), town.member(), town.member("eva@example.org")
    owned(town, anna.user_id)
    for heir in (None, NOBODY, "\x00", anna.user_id, eva.user_id):
        with pytest.raises((Conflict, NotThere)):
            town.accounts.delete_user(root, anna.user_id, JobsDecision(JobsThen.HAND_OVER, heir))
    assert town.accounts.user(anna).email == ANNA


# --- other providers


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


def test_the_policy_holds_for_providers_too(catalog: Catalog) -> None:
    town = invited(catalog)
    root = town.administrator()
    with pytest.raises(SignUpRefused):
        town.accounts.sign_in_with_identity(someone(), HERE)
    town.accounts.invite(root, "Anna@example.org", Role.EXAMINER)
    pair = town.accounts.sign_in_with_identity(someone(), HERE)
    assert town.accounts.validate(pair.access).role is Role.EXAMINER
    assert town.accounts.invitations(root) == []
    town.accounts.close()
    closed = Town(catalog, policy=SignUpPolicy.CLOSED)
    with pytest.raises(SignUpRefused):
        closed.accounts.sign_in_with_identity(someone("b@example.org", "2"), HERE)
    assert closed.accounts.sign_in_with_identity(someone(), HERE)
    with pytest.raises(SignUpRefused):
        closed.accounts.invite(root, "b@example.org", Role.VIEWER)
    closed.accounts.close()
