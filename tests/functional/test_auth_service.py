"""The auth service as others see it: raw messages over a real RabbitMQ, and our own gateway."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aio_pika
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.support import rabbitmq
from tests.support.certificates import Authority
from tests.support.nest import Nest
from tests.support.people import HERE, PASSWORD, SECRET, Town, race

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.calls import SIGNATURE, Seal
from caseframe.accounts.remote import remote_accounts
from caseframe.accounts.serve import QUICK, AccountsService
from caseframe.bus.options import AmqpOptions
from caseframe.bus.rpc import RpcServer
from caseframe.catalog.database import open_sqlite
from caseframe.domain.access import AccountsAway, Forbidden, Principal, TokenRefused
from caseframe.domain.errors import CatalogAway
from caseframe.domain.people import UserFilter

ANNA = "anna@example.org"
NEW = {"firstname": "Anna", "lastname": "Nyström", "email": ANNA, "password": PASSWORD}


@pytest.fixture
def town(tmp_path: Path, rabbitmq_server: str) -> Iterator[Town]:
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    made = Town(catalog)
    made.serve(rabbitmq_server)
    yield made
    made.close()
    catalog.close()


@pytest.fixture
def nest(town: Town) -> Nest:
    return town.nest


def member(nest: Nest, town: Town) -> dict[str, str]:
    """Tokens of somebody who signed up, confirmed the address and signed in."""
    assert "response" in nest.ask("sign-up", **NEW)
    assert "response" in nest.ask("verify-user", key=town.mailer.key())
    tokens: dict[str, str] = nest.ask("sign-in", email=ANNA, password=PASSWORD)["response"]
    return tokens


# --- the wire contract


def test_from_sign_up_to_a_valid_token(town: Town, nest: Nest) -> None:
    done = nest.ask("sign-up", **NEW)["response"]
    assert set(done) == {"status", "message"}
    assert done["status"] == "success"
    early = nest.ask("sign-in", email=ANNA, password=PASSWORD)["err"]
    assert (early["statusCode"], early["error"]) == (403, "Forbidden")
    verified = nest.ask("verify-user", key=town.mailer.key())["response"]
    assert verified["status"] == "success"
    pair = nest.ask("sign-in", email=ANNA, password=PASSWORD)["response"]
    assert set(pair) == {"accessToken", "refreshToken"}
    found = nest.ask("validate-token", token=pair["accessToken"])["response"]
    assert set(found) == {"isValid", "isVerified", "message"}
    assert (found["isValid"], found["isVerified"]) == (True, True)


def test_every_broken_rule_is_named(nest: Nest) -> None:
    bad = {"firstname": "R2-D2", "lastname": "", "email": "nobody", "password": "short"}
    err = nest.ask("sign-up", **bad)["err"]
    assert (err["statusCode"], err["error"]) == (400, "Bad Request")
    assert len(err["message"]) == 7
    for word in ("first name", "last name", "e-mail", "8 to 128", "upper", "digit", "symbol"):
        assert any(word in rule for rule in err["message"])
    missing = nest.ask("sign-up", firstname="Anna", email=7)["err"]
    assert missing["message"] == [f"{n} must be a text" for n in ("lastname", "email", "password")]


def test_a_second_sign_up_is_a_conflict(nest: Nest) -> None:
    nest.ask("sign-up", **NEW)
    err = nest.ask("sign-up", **{**NEW, "email": "ANNA@example.org"})["err"]
    assert (err["statusCode"], err["error"]) == (409, "Conflict")


def test_a_wrong_password_and_an_unknown_address_answer_the_same(town: Town, nest: Nest) -> None:
    member(nest, town)
    wrong = nest.ask("sign-in", email=ANNA, password="Wrong-horse-7")["err"]
    unknown = nest.ask("sign-in", email="nobody@example.org", password=PASSWORD)["err"]
    assert wrong == unknown
    assert wrong["statusCode"] == 401


def test_a_refresh_token_works_once_and_its_re_use_ends_the_session(town: Town, nest: Nest) -> None:
    first = member(nest, town)
    second = nest.ask("refresh-token", token=first["refreshToken"])["response"]
    assert set(second) == {"accessToken", "refreshToken"}
    again = nest.ask("refresh-token", token=first["refreshToken"])["response"]
    assert again["isValid"] is False
    assert set(again) == {"isValid", "message"}
    for token in (first["accessToken"], second["accessToken"], "x", ""):
        found = nest.ask("validate-token", token=token)["response"]
        assert (found["isValid"], found["isVerified"]) == (False, False)


def test_a_verification_key_works_once(town: Town, nest: Nest) -> None:
    nest.ask("sign-up", **NEW)
    key = town.mailer.key()
    answers = nest.together(*[("verify-user", {"key": key})] * 4)
    assert sum("response" in one for one in answers) == 1
    assert {one["err"]["statusCode"] for one in answers if "err" in one} == {400}


def test_a_key_is_good_for_thirty_minutes(town: Town, nest: Nest) -> None:
    nest.ask("sign-up", **NEW)
    town.clock.pass_by(minutes=30)
    assert nest.ask("verify-user", key=town.mailer.key())["err"]["statusCode"] == 400


def test_two_hundred_requests_at_the_same_moment(town: Town, nest: Nest) -> None:
    pair = member(nest, town)
    asked = [("validate-token", {"token": token}) for token in (pair["accessToken"], "")]
    answers = nest.together(*asked * 100)
    assert [one["response"]["isValid"] for one in answers] == [True, False] * 100


# --- what is no request


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff\xfe", b"nonsense", b"[]", b"7", b'"sign-up"', b"{}", b"[" * 200_000,
        b'{"pattern": {"cmd": 7}, "data": {}}', b'{"pattern": {"cmd": ["sign-up"]}}',
        b'{"pattern": {"cmd": "sign-in"}, "data": [1, 2]}', b'{"pattern": {"cmd": "sign-in"}}',
        b'{"pattern": {"cmd": "drop-tables"}, "data": {}, "id": "1"}',
        b'{"pattern": {"cmd": "accounts.close"}, "data": {}}', b"x" * 5_000_000,
    ],
)  # fmt: skip
def test_nonsense_is_answered_once_and_harms_nobody(town: Town, nest: Nest, body: bytes) -> None:
    (answer,) = nest.raw([body])
    assert 400 <= answer["err"]["statusCode"] < 500
    assert answer["isDisposed"] is True
    assert nest.ask("validate-token", token="x")["response"]["isValid"] is False
    assert nest.waiting() == 0


def test_what_names_no_queue_for_an_answer_is_not_done(town: Town, nest: Nest) -> None:
    nest.send(json.dumps({"pattern": {"cmd": "sign-up"}, "data": NEW, "id": "1"}).encode())
    nest.send(b"nonsense")
    assert "response" in nest.ask("sign-up", **NEW)  # it is the first with this address
    assert nest.waiting() == 0


def test_an_answer_that_nobody_waits_for_harms_nobody(town: Town, nest: Nest) -> None:
    async def leave() -> None:
        async with await aio_pika.connect(nest.url) as connection:
            channel = await connection.channel()
            body = json.dumps(
                {"pattern": {"cmd": "validate-token"}, "data": {"token": ""}}
            ).encode()
            message = aio_pika.Message(body, correlation_id="1", reply_to=f"gone-{uuid.uuid4()}")
            await channel.default_exchange.publish(message, nest.queue)

    asyncio.run(leave())
    assert nest.ask("validate-token", token="x")["response"]["isValid"] is False


# --- our own commands


def test_only_those_who_hold_the_secret_speak_for_others(town: Town, nest: Nest) -> None:
    """S5: whoever may write to the queue is no administrator over it."""
    anna = town.member()
    forged = {**{k: getattr(anna, k) for k in Principal.__slots__}, "role": "administrator"}
    for command, data in (
        ("accounts.first_key", {}),
        ("accounts.users", {"principal": forged, "wanted": {}}),
        ("accounts.set_role", {"principal": forged, "user_id": anna.user_id, "role": "viewer"}),
    ):
        assert nest.ask(command, **data)["err"]["statusCode"] == 403
    other = _remote(nest, secret=SecretStr("another-Secret-of-32-letters-9x7"))
    with closing(other), pytest.raises(Forbidden):
        other.first_key()
    assert _remote_users(town) == [ANNA]


def _remote_users(town: Town) -> list[str]:
    root = town.administrator()
    page = town.accounts.users(root, UserFilter())
    return [user.email for user in page.users if user.email != root.email]


def _remote(nest: Nest, *, secret: SecretStr = SECRET, keep: float = 0) -> Accounts:
    return remote_accounts(
        AmqpOptions(SecretStr(nest.url)), secret, queue=nest.queue, seconds=60, keep_seconds=keep
    )


def test_a_signature_fits_one_body() -> None:
    seal = Seal(SECRET)
    assert seal.fits(b"a", seal.sign(b"a"))
    assert not seal.fits(b"b", seal.sign(b"a"))
    for nothing in ({}, {SIGNATURE: ""}, {SIGNATURE: 7}, {SIGNATURE: "ü\ud800"}):
        assert not seal.fits(b"a", nothing)
    assert SECRET.get_secret_value() not in repr(seal)


def test_a_signed_command_with_nonsense_in_it_is_refused(town: Town, nest: Nest) -> None:
    async def ask(data: object) -> dict[str, object]:
        body = json.dumps({"pattern": {"cmd": "accounts.sign_in"}, "data": data}).encode()
        async with await aio_pika.connect(nest.url) as connection:
            channel = await connection.channel()
            replies = await channel.declare_queue(exclusive=True)
            message = aio_pika.Message(
                body,
                correlation_id="1",
                reply_to=replies.name,
                headers=dict(Seal(SECRET).sign(body)),
            )
            await channel.default_exchange.publish(message, nest.queue)
            async with asyncio.timeout(30):
                async with replies.iterator(no_ack=True) as answers:
                    async for answer in answers:
                        found: dict[str, object] = json.loads(answer.body)["err"]
                        return found
        raise AssertionError("no answer")

    nonsense: tuple[object, ...] = (
        None, 7, [], {}, {"email": 7}, {"nobody": "x"}, {"email": ANNA, "password": {}},
        {"email": ANNA, "password": PASSWORD}, {"email": ANNA, "password": PASSWORD, "x": 1},
    )  # fmt: skip
    for data in nonsense:
        err = asyncio.run(ask(data))
        assert err["statusCode"] == 400
        assert PASSWORD not in str(err)


# --- the gateway's side


def test_nobody_there_is_told_as_away(rabbitmq_server: str) -> None:
    options = AmqpOptions(SecretStr(rabbitmq_server))
    missing = remote_accounts(options, SECRET, queue=f"none-{uuid.uuid4()}", seconds=60)
    with closing(missing), pytest.raises(AccountsAway, match="never ran"):
        missing.policy()
    queue = f"dead-{uuid.uuid4()}"
    asyncio.run(_declare(rabbitmq_server, queue))
    dead = remote_accounts(options, SECRET, queue=queue, seconds=0.3)
    with closing(dead), pytest.raises(AccountsAway, match="nobody answers"):
        dead.policy()


async def _declare(url: str, queue: str) -> None:
    async with await aio_pika.connect(url) as connection:
        await (await connection.channel()).declare_queue(queue, durable=True)


def test_a_request_whose_time_is_over_is_not_done(tmp_path: Path, rabbitmq_server: str) -> None:
    options, queue = AmqpOptions(SecretStr(rabbitmq_server)), f"auth-{uuid.uuid4()}"
    asyncio.run(_declare(rabbitmq_server, queue))
    catalog = open_sqlite(tmp_path / "catalog.sqlite")
    town = Town(catalog)
    with closing(remote_accounts(options, SECRET, queue=queue, seconds=0.3)) as late:
        with pytest.raises(AccountsAway):
            late.sign_up(town.new(), HERE)
        time.sleep(0.5)  # on a busy machine the request may come later than its caller gave up
        service = AccountsService(town.local, SECRET)
        with closing(RpcServer(options, queue, service, quick=QUICK)):
            found = Nest(rabbitmq_server, queue).ask("sign-up", **NEW)
    assert "response" in found  # not 409: the first one was dropped
    town.close()
    catalog.close()


def test_the_catalog_away_is_told_as_away(town: Town, nest: Nest) -> None:
    pair = member(nest, town)

    def fail(_token: str) -> Principal:
        raise CatalogAway("the catalog does not answer")

    town.local.validate = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(AccountsAway):
        town.accounts.validate(pair["accessToken"])
    assert nest.ask("validate-token", token=pair["accessToken"])["err"]["statusCode"] == 503


def test_a_bug_over_one_request_is_told_and_harms_no_other(town: Town, nest: Nest) -> None:
    def fail(_key: str) -> Principal:
        raise ZeroDivisionError("not for others to read")

    town.local.verify = fail  # type: ignore[assignment,method-assign]
    with capture_logs() as logs:
        err = nest.ask("verify-user", key="x")["err"]
    assert err["statusCode"] == 500
    assert "not for others" not in str(err)
    assert any(entry["event"] == "rpc.failed" for entry in logs)
    with pytest.raises(AccountsAway, match="its log says why"):
        town.accounts.verify("x")
    assert "response" in nest.ask("sign-up", **NEW)


def test_many_threads_each_get_their_own_answer(town: Town) -> None:
    people = [town.member(f"u{n}@example.org") for n in range(4)]
    found = race(*[lambda p=p: town.accounts.validate(p.token) for p in people * 10])
    assert [one.email for one in found if isinstance(one, Principal)] == [
        p.email for p in people * 10
    ]


def test_who_it_is_is_remembered_until_something_changes(town: Town, nest: Nest) -> None:
    with closing(_remote(nest, keep=3600)) as gateway:
        pair = town.tokens()
        anna = gateway.validate(pair.access)
        town.accounts.sign_out(anna)  # elsewhere: this is what the short time is for
        assert gateway.validate(pair.access) == anna
        second = gateway.sign_in(ANNA, PASSWORD, HERE)
        with pytest.raises(TokenRefused):
            gateway.validate(pair.access)
        eva = gateway.validate(second.access)
        gateway.sign_out(eva)
        with pytest.raises(TokenRefused):
            gateway.validate(second.access)


def test_no_secret_shows_in_logs_or_reprs(town: Town, nest: Nest) -> None:
    """S12."""
    with capture_logs() as logs:
        pair = member(nest, town)
        town.accounts.validate(pair["accessToken"])
        nest.ask("sign-in", email=ANNA, password={"no": PASSWORD})
        nest.send(json.dumps({"pattern": {"cmd": "sign-in"}, "data": NEW}).encode())
        nest.ask("refresh-token", token=pair["refreshToken"])
        nest.ask("refresh-token", token=pair["refreshToken"])
    text = repr(logs) + repr(town.accounts) + repr(town.server)
    for secret in (PASSWORD, *pair.values(), town.mailer.key(), SECRET.get_secret_value()):
        assert secret not in text


# --- a broker that goes, and one that asks for certificates


def test_a_broker_that_asks_for_certificates_and_goes_away(tmp_path: Path) -> None:
    """S4 for the queue; R12 for accounts. One private server for both: it takes long to start."""
    authority, strangers = Authority.make(tmp_path, "ours"), Authority.make(tmp_path, "theirs")
    cert, key = authority.issue("broker")
    with rabbitmq.private_server(rabbitmq.TlsFiles(authority.file, cert, key)) as broker:
        if broker is None or broker.tls_url is None:
            rabbitmq.missing("no RabbitMQ is installed here, and this test stops one")
            return
        url = SecretStr(broker.tls_url)
        mine = AmqpOptions(url, authority.file, *authority.issue("gateway"))
        catalog = open_sqlite(tmp_path / "catalog.sqlite")
        town = Town(catalog)
        service = AccountsService(town.local, SECRET)
        with closing(RpcServer(mine, "auth", service, quick=QUICK)) as server:
            _until_up(server)
            with closing(remote_accounts(mine, SECRET, seconds=60, keep_seconds=0)) as accounts:
                accounts.sign_up(town.new(), HERE)
                accounts.verify(town.mailer.key())
                pair = accounts.sign_in(ANNA, PASSWORD, HERE)
                for stranger in (
                    AmqpOptions(url, authority.file),
                    AmqpOptions(url, authority.file, *strangers.issue("stranger")),
                    AmqpOptions(url, strangers.file, *authority.issue("lost")),
                ):
                    outside = remote_accounts(stranger, SECRET, seconds=2)
                    with closing(outside), pytest.raises(AccountsAway):
                        outside.policy()
                broker.stop()
                with pytest.raises(AccountsAway):
                    accounts.validate(pair.access)
                broker.start()
                _until_up(server, accounts)
                assert accounts.validate(pair.access).email == ANNA
        town.close()
        catalog.close()


def _until_up(*sides: object) -> None:
    until = time.monotonic() + 60
    while any(getattr(side, "reason", None) is not None for side in sides):
        assert time.monotonic() < until, [getattr(side, "reason", None) for side in sides]
        time.sleep(0.05)
