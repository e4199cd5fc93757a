"""What happens to the services while a job is at work: each is a function of the `Scene`."""

from __future__ import annotations

import time
from collections.abc import Callable

import aio_pika
from aio_pika.abc import AbstractChannel
from tests.support.chaos import OVER, SETTINGS, WORK_QUEUES, WORKERS, Scene

from caseframe.bus import wire
from caseframe.domain.work import JobState

Disturbance = Callable[[Scene], None]


def killed(name: str) -> Disturbance:
    """A part ends as if its machine had failed, and is started again."""

    def disturb(scene: Scene) -> None:
        scene.made.kill(name)
        time.sleep(scene.dice.uniform(0, 2))
        scene.restart(name)

    return disturb


def all_killed(scene: Scene) -> None:
    """The power fails: every part ends at once, and all are started in some other order."""
    for name in scene.made.names:
        scene.made.kill(name)
    names = [name for name in scene.made.names if name != "epmd"]
    scene.dice.shuffle(names)
    for name in ("epmd", *names):
        scene.made.start(name)
    for name in names:
        scene.made.wait_ready(name)


def stopped(name: str) -> Disturbance:
    """A part is asked to end, which it does by itself, and is started again later."""

    def disturb(scene: Scene) -> None:
        assert scene.made.stop(name), f"{name} did not end by itself"
        time.sleep(scene.dice.uniform(0, 4))
        scene.restart(name)

    return disturb


def away_for_long(scene: Scene) -> None:
    """PostgreSQL is away for longer than anybody waits.

    Where something was to be written meanwhile, the job ends as failed and a user starts it again.
    """
    (job,) = scene.active()
    scene.made.stop("postgresql")
    time.sleep(2 * float(SETTINGS["CASEFRAME_BUSY_SECONDS"]))
    scene.restart("postgresql")
    scene.wait("the job ends", lambda: scene.job(job).state in OVER)
    ended = scene.job(job)
    if ended.state is JobState.FAILED:
        assert "does not answer" in (ended.reason or "")
        scene.start(job)


def queue_deleted(queue: str) -> Disturbance:
    """Somebody deletes a queue with all that is in it."""

    def disturb(scene: Scene) -> None:
        async def delete(channel: AbstractChannel) -> None:
            await channel.queue_delete(queue)

        scene.amqp(delete)

    return disturb


def memory_alarm(scene: Scene) -> None:
    """The broker has no memory left for a while, and takes no message."""
    scene.made.control("set_vm_memory_high_watermark", "0.00001")
    time.sleep(scene.dice.uniform(2, 8))
    scene.made.control("set_vm_memory_high_watermark", "0.6")


def twice_and_shuffled(scene: Scene) -> None:
    """All tasks that wait are delivered twice, in another order."""
    for name in WORKERS:  # at once, so that they do not end the job in the meantime
        scene.made.kill(name)
    scene.wait("tasks wait", lambda: any(scene.left().get(queue) for queue in WORK_QUEUES))

    async def shuffle(channel: AbstractChannel) -> None:
        for name in WORK_QUEUES:
            queue = await channel.get_queue(name)
            taken = []
            while (message := await queue.get(fail=False)) is not None:
                taken.append(message)
            again = [*taken, *taken]
            scene.dice.shuffle(again)
            for one in again:
                copy = aio_pika.Message(
                    one.body, headers=one.headers, correlation_id=one.correlation_id,
                    content_type="application/json", delivery_mode=2,
                )  # fmt: skip
                await channel.default_exchange.publish(copy, name, mandatory=True)
            for one in taken:
                await one.ack()

    scene.amqp(shuffle)
    for name in WORKERS:
        scene.restart(name)


RUBBISH = (b"\x00\xff", b"[]", b'{"to": "similar"}', b'{"jobId": 1, "filepath": "/../x"}')


def rubbish(scene: Scene) -> None:
    """Messages that nobody can read come to the stages and to the job manager."""

    async def throw(channel: AbstractChannel) -> None:
        for name in (*WORK_QUEUES, wire.JOB_MANAGER):
            for body in RUBBISH:
                message = aio_pika.Message(body, headers={"x-correlation-id": "rubbish"})
                await channel.default_exchange.publish(message, name, mandatory=True)

    scene.amqp(throw)
    expected = len(RUBBISH) * (len(WORK_QUEUES) + 1)
    dead = scene.dead_letters()
    scene.wait("rubbish is kept as dead letters", lambda: len(dead.list()) == expected)
    assert all(letter.reason for letter in dead.list())
    assert dead.drop(None) == expected


def foreign_answers(scene: Scene) -> None:
    """Answers to tasks that were never sent, of jobs and pictures that do not exist."""
    bodies = [
        wire.Result("similar", job, b"Chaos/000.jpg", "0" * 32, result={"pdq": 1}).encode()
        for job in ("00000000-0000-4000-8000-000000000000", "no job")
    ]

    async def throw(channel: AbstractChannel) -> None:
        for body in bodies:
            message = aio_pika.Message(body, headers={"x-correlation-id": "foreign"})
            await channel.default_exchange.publish(message, wire.JOB_MANAGER, mandatory=True)

    scene.amqp(throw)


DISTURBANCES: dict[str, Disturbance] = {
    **{f"{name} is killed": killed(name) for name in (
        "jobs", "auth", "gateway", "vision", *WORKERS, "rabbitmq", "postgresql", "redis")},
    "the power fails": all_killed,
    **{f"{name} is stopped": stopped(name) for name in (
        "jobs", *WORKERS, "rabbitmq", "postgresql", "redis")},
    **{f"the queue {name} is deleted": queue_deleted(name) for name in (
        "similar", "Faces", "facts", wire.JOB_MANAGER)},
    "postgresql is away for long": away_for_long,
    "the broker has no memory": memory_alarm,
    "tasks come twice and shuffled": twice_and_shuffled,
    "rubbish comes": rubbish,
    "foreign answers come": foreign_answers,
}  # fmt: skip
SHORT = (
    "jobs is killed", "stage-two is killed", "rabbitmq is stopped", "tasks come twice and shuffled",
)  # fmt: skip
