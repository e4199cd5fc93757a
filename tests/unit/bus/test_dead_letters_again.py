"""A dead letter that is sent again later than its token lives: its worker can read the picture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, HeadersType
from pydantic import SecretStr
from tests.conftest import Cli
from tests.support import letters, queues
from tests.support.letters import JOB, task
from tests.support.manager import SECRET
from tests.support.web import clean_settings

from caseframe.accounts.tokens import TokenMint, make_task_token, read_task_token, says_expired
from caseframe.bus import wire
from caseframe.bus.deadletters import DeadLetters
from caseframe.cli.captions import registry_for
from caseframe.cli.service_gateway import _letters
from caseframe.domain.errors import UsageError

QUEUE = "Faces"
LIFE = timedelta(hours=1)
MINT = TokenMint(SecretStr(SECRET))
OLD = make_task_token(TokenMint(SecretStr(SECRET), lambda: datetime.now(UTC) - 2 * LIFE), JOB, LIFE)
FRESH = make_task_token(MINT, JOB, LIFE)


@pytest.fixture
def broker(rabbitmq_server: str) -> Iterator[str]:
    names = [name for one in (QUEUE, wire.JOB_MANAGER) for name in (one, wire.dead(one))]
    letters.delete(rabbitmq_server, *names)  # other tests of this process have the same broker
    letters.declare(rabbitmq_server, (QUEUE, wire.JOB_MANAGER))
    yield rabbitmq_server
    letters.delete(rabbitmq_server, *names)


def bury(url: str, token: str, queue: str = QUEUE) -> None:
    """A dead letter with that token."""
    keys = task("/trip/a.jpg", queue) | {"from": QUEUE}

    async def work(channel: AbstractChannel) -> None:
        exchange = await channel.get_exchange(wire.DEAD_LETTERS)
        headers: HeadersType = {
            wire.REASON: "it died", wire.ANSWERED: "1", **wire.headers(token, "case-7")
        }  # fmt: skip
        message = aio_pika.Message(wire._dump(keys), headers=headers)
        await exchange.publish(message, wire.dead(queue))

    letters.on(url, work)


def sent(url: str, queue: str = QUEUE) -> dict[str, object]:
    """The headers of what lies in a queue."""

    async def work(channel: AbstractChannel) -> dict[str, object]:
        message = await (await channel.get_queue(queue)).get()
        await message.ack()
        return dict(message.headers)

    found: dict[str, object] = letters.on(url, work)
    return found


def test_it_gets_the_token_that_it_is_given_and_keeps_the_rest(broker: str) -> None:
    asked: list[tuple[str, str]] = []

    def renew(job: str, old: str) -> str:
        asked.append((job, old))
        return "fresh"

    bury(broker, OLD)
    assert DeadLetters(queues.amqp(broker), [QUEUE], renew).replay(None) == 1
    assert sent(broker) == {"authorization": "Bearer fresh", "x-correlation-id": "case-7"}
    assert asked == [(JOB, OLD)]


def test_answers_are_nobodys_task_and_stay_as_they_are(broker: str) -> None:
    bury(broker, OLD, wire.JOB_MANAGER)
    assert DeadLetters(queues.amqp(broker), [QUEUE], lambda _job, _old: "fresh").replay(None) == 1
    assert sent(broker, wire.JOB_MANAGER)["authorization"] == f"Bearer {OLD}"


def test_one_that_cannot_be_renewed_stays(broker: str) -> None:
    def renew(_job: str, _old: str) -> str:
        raise UsageError("no")

    bury(broker, OLD)
    found = DeadLetters(queues.amqp(broker), [QUEUE], renew)
    with pytest.raises(UsageError):
        found.replay(None)
    assert len(found.list()) == 1
    assert letters.waiting(broker, QUEUE) == []


def test_the_command_makes_a_fresh_token_where_it_has_the_secret(broker: str, cli: Cli) -> None:
    bury(broker, OLD)
    ran = cli("dead-letters", "replay", "--all", CASEFRAME_AMQP_URL=broker,
              CASEFRAME_TOKEN_SECRET=SECRET)  # fmt: skip
    assert ran.out == "1 dead letter sent again.\n"
    assert read_task_token(MINT, wire.token(sent(broker))).job_id == JOB


def test_and_refuses_an_expired_one_where_it_has_not(broker: str, cli: Cli) -> None:
    bury(broker, OLD)
    ran = cli("dead-letters", "replay", "--all", CASEFRAME_AMQP_URL=broker)
    assert ran.status == 2
    assert "scan again" in " ".join(ran.err.split())
    found = DeadLetters(queues.amqp(broker), [QUEUE])
    assert len(found.list()) == 1
    found.drop(None)
    bury(broker, FRESH)
    assert cli("dead-letters", "replay", "--all", CASEFRAME_AMQP_URL=broker).status == 0
    assert wire.token(sent(broker)) == FRESH


def test_the_gateway_makes_fresh_tokens(broker: str, cache: Path) -> None:
    settings = clean_settings(cache)
    registry = registry_for(settings, announce=False)
    bury(broker, OLD)
    assert _letters(settings, queues.amqp(broker), MINT, registry).replay(None, QUEUE) == 1
    assert read_task_token(MINT, wire.token(sent(broker))).job_id == JOB


@pytest.mark.parametrize(("token", "expired"), [(OLD, True), (FRESH, False), ("none", False)])
def test_what_a_token_says_of_its_time(token: str, *, expired: bool) -> None:
    assert says_expired(token) is expired
