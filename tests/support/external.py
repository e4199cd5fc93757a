"""Stages of other makers: workers written by hand, and a web server over their job manager.

The worker knows nothing of our code: it reads and writes JSON, as one in any language would.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self

import aio_pika
from pydantic import SecretStr
from tests.support import manager
from tests.support.queues import amqp
from tests.support.web import WAIT, WebServer, clean_settings, running_web

from caseframe.bus.deadletters import DeadLetters
from caseframe.catalog.database import open_sqlite
from caseframe.cli.accounts import local_accounts
from caseframe.cli.stage_queues import queue_of, services_registry
from caseframe.cli.web import Behind, plugged, vision_at, web_options

Say = Callable[[dict[str, Any]], Any]


class Refuses(list[str]):
    """Reasons why there is no result."""


class HandWorker:
    """Takes tasks from a queue and answers each with what `say` makes of it.

    `say` gives the result; Refuses for errors; None to reject the message.
    """

    def __init__(self, url: str, queue: str, say: Say) -> None:
        self._url, self._queue, self._say = url, queue, say
        self.tasks: list[dict[str, Any]] = []
        self._up, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)

    async def _work(self) -> None:
        async with await aio_pika.connect(self._url) as connection, connection.channel() as channel:
            queue = await channel.get_queue(self._queue)

            async def take(message: Any) -> None:
                await self._answer(channel, message)

            tag = await queue.consume(take)
            self._up.set()
            await asyncio.to_thread(self._end.wait)
            await queue.cancel(tag)

    async def _answer(self, channel: Any, message: Any) -> None:
        task = json.loads(message.body)
        self.tasks.append(task)
        said = self._say(task)
        if said is None:
            await message.reject(requeue=False)
            return
        errors = list(said) if isinstance(said, Refuses) else []
        keys = {
            "from": self._queue, "to": "JobManager", "time": "2026-01-02T03:04:05Z",
            "jobId": task["jobId"], "filepath": task["filepath"], "md5": task["md5"],
            "errors": errors, "result": None if errors else said,
        }  # fmt: skip
        answer = aio_pika.Message(
            json.dumps(keys).encode(), headers=dict(message.headers), delivery_mode=2
        )
        await channel.default_exchange.publish(answer, "JobManager")
        await message.ack()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(WAIT)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(WAIT)


@contextmanager
def web_with_external(
    folder: Path, sources: Path, cache: Path, broker: str, stages: list[dict[str, Any]],
    **given: Any,
) -> Iterator[WebServer]:  # fmt: skip
    """A web server and, in the same process, a job manager with these external stages."""
    asked = {"external_stages": stages, "queue_stages": (), **given}
    case = folder / "case"
    case.mkdir(parents=True)
    settings = clean_settings(cache, amqp_url=SecretStr(broker), **asked)
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        catalog = open_sqlite(case / "catalog.sqlite")
        stack.callback(catalog.close)
        system = stack.enter_context(
            manager.system(catalog, sources, broker, folder / "manager", cache, **asked)
        )
        accounts = stack.enter_context(closing(local_accounts(catalog, case, settings, url)))
        vision = stack.enter_context(vision_at("127.0.0.1:1", settings))
        registry = services_registry(settings)
        letters = DeadLetters(amqp(broker), [queue_of(found.stage) for found in registry.stages])
        behind = Behind(
            catalog, accounts, accounts.mint, system.manager, vision, lambda: None, letters
        )
        options = web_options(settings, case, sources, url, registry)
        services = stack.enter_context(plugged(behind, settings, options, registry))
        stack.enter_context(running_web(services, listening))
        server = WebServer(url, case, sources, services)
        yield server
        server.close()
