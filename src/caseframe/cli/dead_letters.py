"""caseframe dead-letters: tasks that no worker could deal with, looked at and sent again."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from caseframe.accounts.tokens import TokenMint, says_expired
from caseframe.bus.deadletters import DeadLetter, DeadLetters, Renew
from caseframe.cli.assemble import settings_for
from caseframe.cli.captions import registry_for
from caseframe.cli.service_common import amqp_options, services_secret
from caseframe.cli.stage_queues import TaskTokens, queue_of, task_tokens
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import path_text
from caseframe.settings import Settings

NumbersArgument = Annotated[
    list[str] | None, typer.Argument(help="Ids, as list shows them; their beginning will do.")
]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only those of this queue.")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them, or all of --queue.")]


def register(app: typer.Typer) -> None:
    """Add the group of this module."""
    group = typer.Typer(
        name="dead-letters",
        no_args_is_help=True,
        help="Tasks that ended among the dead letters because no worker could deal with them: see "
        "why, send them again when that is mended, or throw them away. The task itself has failed "
        "with the same reason; a replay that goes well mends that too. Needs RabbitMQ (amqp_url).",
    )
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("drop")(drop)
    app.add_typer(group)


def dead_letters(settings: Settings) -> DeadLetters:
    """Those of all stages that there are by the settings."""
    stages = registry_for(settings, announce=False).stages
    queues = [queue_of(found.stage) for found in stages]
    return DeadLetters(amqp_options(settings, "dead-letters"), queues, _renewing(settings))


def _renewing(settings: Settings) -> Renew:
    if settings.token_secret is None and settings.token_secret_file is None:
        return _unexpired

    @cache
    def tokens() -> TaskTokens:  # when they are needed: to look, nobody needs the secret
        return task_tokens(settings, TokenMint(services_secret(settings)))

    return lambda job, _old: tokens()(job)


def _unexpired(_job: str, token: str) -> str:
    """The token itself; whoever has no secret can make no other."""
    if says_expired(token):
        raise UsageError(
            "a dead letter is older than its token, so no worker can fetch its picture: set "
            "CASEFRAME_TOKEN_SECRET_FILE as for the services, or drop it, and scan again"
        )
    return token


def list_letters(
    queue: QueueOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List dead letters with their reasons, the oldest of each queue first."""
    found = dead_letters(settings_for()).list(queue)
    if as_json:
        for letter in found:
            typer.echo(json.dumps(_keys(letter), ensure_ascii=False))
        return
    if not found:
        typer.echo("There are no dead letters.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "queue", "attempt", "path", "reason"):
        table.add_column(title, overflow="fold")
    for letter in found:
        table.add_row(letter.id, letter.queue, str(letter.attempt), _path(letter), letter.reason)
    Console(markup=False).print(table)


def show(number: Annotated[str, typer.Argument(help="Id, or its beginning.")]) -> None:
    """Show one dead letter whole."""
    letter = dead_letters(settings_for()).show(number)
    typer.echo(json.dumps(_keys(letter), ensure_ascii=False, indent=2))
    typer.echo(letter.body.decode("utf-8", "backslashreplace"))


def replay(
    numbers: NumbersArgument = None, queue: QueueOption = None, everything: AllOption = False
) -> None:
    """Send dead letters back to the queues that they were meant for.

    With the services' secret (token_secret_file) each gets a fresh token; without it, one whose
    token has expired is refused.
    """
    _count("sent again", dead_letters(settings_for()).replay(_chosen(numbers, everything), queue))


def drop(
    numbers: NumbersArgument = None, queue: QueueOption = None, everything: AllOption = False
) -> None:
    """Throw dead letters away; the failed tasks stay failed, and can be run again as tasks."""
    _count("dropped", dead_letters(settings_for()).drop(_chosen(numbers, everything), queue))


def _chosen(numbers: list[str] | None, everything: bool) -> list[str] | None:
    if bool(numbers) == everything:
        raise UsageError("name the dead letters by their ids, or say --all")
    return numbers


def _count(what: str, count: int) -> None:
    typer.echo(f"{count} dead letter{'' if count == 1 else 's'} {what}.")


def _path(letter: DeadLetter) -> str:
    return "" if letter.path is None else path_text(letter.path)


def _keys(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "queue": letter.queue,
        "reason": letter.reason,
        "job": letter.job_id,
        "path": None if letter.path is None else path_text(letter.path),
        "attempt": letter.attempt,
        "correlation_id": letter.correlation_id,
    }
