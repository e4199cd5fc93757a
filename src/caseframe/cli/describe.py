"""The command that describes pictures, one line each."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated

import typer

from caseframe.cli.assemble import settings_for
from caseframe.cli.options import JsonOption
from caseframe.cli.pictures import Found, pictures
from caseframe.cli.vision import AUTO, FACTS, vision_client
from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import path_fields
from caseframe.domain.text import shown_path
from caseframe.vision.client import Answer, VisionClient
from caseframe.vision.describer import Identity
from caseframe.vision.protocol import model_number


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(describe)


def describe(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…|-",
            help="Pictures, folders of pictures, or - for one picture on standard input.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="BLIP, BLIP_QUANTIZED or FACTS; the setting describe_with when not given.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say in a sentence what each picture shows.

    One line a picture, in order; a file that cannot be described, or a folder without pictures,
    gets its line on standard error, and the status is 1 at the end. FACTS needs no model: its
    sentences are composed from measured facts and are marked [facts].
    """
    if model is not None:
        model_number(model)  # says which names there are
    settings = settings_for(describe_with=model)
    try:
        with vision_client(settings) as client:
            identity = _identity(client, settings.describe_with)
            writer = _Writer(identity, as_json)
            _describe(client, pictures(files, settings.vision_image_bytes), writer)
    except KeyboardInterrupt:
        raise CaseframeError("stopped; what stands above was described") from None
    if writer.failed:
        raise typer.Exit(1)


def _identity(client: VisionClient, name: str) -> Identity:
    """The model that is meant, loaded. Raises ModelUnavailable."""
    if name == AUTO:
        found = [info.identity.name for info in client.models() if info.preferred]
        name = found[0] if found else FACTS
    return client.identity(name)


@dataclass
class _Writer:
    """Writes what became of each picture, and remembers whether any failed."""

    identity: Identity
    as_json: bool
    failed: int = 0
    waiting: deque[Found] = field(default_factory=deque)

    def good(self, found: Iterator[Found]) -> Iterator[bytes]:
        """The bytes of those that have some; all are kept in `waiting`, in order."""
        for one in found:
            self.waiting.append(one)
            if one.data is not None:
                yield one.data
                one.data = b""  # not needed again: only its place in the order is

    def flush(self, answer: Answer | None = None) -> None:
        """Write the failures up to the next picture that was sent, and its answer."""
        while self.waiting and self.waiting[0].data is None:
            failure = self.waiting.popleft()
            self._write(failure.path, None, failure.error)
        if answer is not None:
            self._write(self.waiting.popleft().path, answer.description, answer.error)

    def _write(self, path: bytes, description: str | None, error: str | None) -> None:
        self.failed += error is not None
        if self.as_json:
            typer.echo(json.dumps(self._record(path, description, error), ensure_ascii=False))
        elif error is not None:
            typer.echo(f"caseframe: {shown_path(path)}: {error}", err=True)
        else:
            mark = "[facts] " if self.identity.name == FACTS else ""
            typer.echo(f"{shown_path(path)}: {mark}{_one_line(description or '')}")
        sys.stdout.flush()

    def _record(self, path: bytes, description: str | None, error: str | None) -> dict[str, object]:
        made_by = {
            "model": self.identity.model,
            "revision": self.identity.revision,
            "digest": self.identity.digest,
        }
        return {
            **path_fields(path),
            "description": description,
            "model": self.identity.name,
            "made_by": made_by,
            "error": error,
        }


def _describe(client: VisionClient, found: Iterator[Found], writer: _Writer) -> None:
    with closing(client.describe_many(writer.good(found), writer.identity.name)) as answers:
        for answer in answers:
            writer.flush(answer)
    writer.flush()


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
