"""The messages of the enrichment stages as they travel: tasks, results, and what could not be read.

Keys and headers are those of the original image scanner; ours are added beside them. What comes in
is checked here, so that behind this module a message is either whole or a BadMessage.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

from caseframe.domain.errors import CaseframeError
from caseframe.domain.text import storable

JOB_MANAGER = "JobManager"
"""The queue that all results go to."""
DEAD_LETTERS = "img.dlx"
"""The topic exchange for what no worker can deal with."""
NOTICES = "JobManager.notices"
"""Our own queue that gets a copy of every dead letter, so that its task ends."""
REASON = "x-reason"
"""Header of a dead letter of ours: why it is one."""
ANSWERED = "x-answered"
"""Header of a dead letter of ours whose task was answered too: its notice says nothing new."""
MAX_BYTES = 64_000_000
_MOST = 2**31 - 1  # what a column of the catalog holds
_HEX = re.compile(r"[0-9a-f]+")
T = TypeVar("T")


class BadMessage(CaseframeError):
    """A message that does not say what it must; the text is the reason."""


def dead(queue: str) -> str:
    """The queue (and the routing key) of the dead letters of a queue."""
    return f"{queue}.dead"


async def declare(channel: AbstractChannel, queue: str) -> None:
    """A work queue with its dead-letter queue, exactly as the original workers declare theirs.

    Any other argument would be refused by the broker where both are at work.
    """
    exchange = await channel.declare_exchange(DEAD_LETTERS, ExchangeType.TOPIC, durable=True)
    kept = await channel.declare_queue(dead(queue), durable=True)
    await kept.bind(exchange, f"{queue}.#")
    await channel.declare_queue(
        queue,
        durable=True,
        arguments={
            "x-dead-letter-exchange": DEAD_LETTERS,
            "x-dead-letter-routing-key": dead(queue),
        },
    )


async def declare_notices(channel: AbstractChannel) -> None:
    """Our queue of copies of dead letters."""
    exchange = await channel.declare_exchange(DEAD_LETTERS, ExchangeType.TOPIC, durable=True)
    notices = await channel.declare_queue(NOTICES, durable=True)
    await notices.bind(exchange, "#")


@dataclass(frozen=True)
class Task:
    """One picture for one stage. `path` is bytes relative to the sources root.

    `record` is the picture's record in the words of the original messages; `given` the results
    that the stage wants, by stage. `sha256`, `stage` and `version` are None in tasks of the
    original system.
    """

    queue: str
    job_id: str
    path: bytes
    md5: str
    record: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None
    version: str | None = None
    sha256: str | None = None
    attempt: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)

    def encode(self, sender: str = JOB_MANAGER) -> bytes:
        """The message's body."""
        return _dump(
            {
                "from": sender,
                "to": self.queue,
                "time": _now(),
                "jobId": self.job_id,
                **_path_keys(self.path),
                "md5": self.md5,
                "errors": [],
                "message": self.record,
                "sha256": self.sha256,
                "stage": self.stage,
                "stageVersion": self.version,
                "attempt": self.attempt,
                "given": self.given,
            }
        )


@dataclass(frozen=True)
class Verdict:
    """What our own workers say beside the result: the task's state and how it came about."""

    state: str
    found: bool = False
    reason: str | None = None
    model: str | None = None
    model_digest: str | None = None
    seconds: float = 0.0
    attempts: int = 1
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a worker answers. `message` is in the original's words, `result` in ours.

    `errors` are the reasons why there is none. `stage`, `version`, `sha256` and `verdict` are None
    in answers of original workers.
    """

    queue: str
    job_id: str
    path: bytes
    md5: str
    errors: tuple[str, ...] = ()
    message: Any = None
    result: Any = None
    stage: str | None = None
    version: str | None = None
    sha256: str | None = None
    attempt: int = 1
    verdict: Verdict | None = None

    def encode(self) -> bytes:
        """The message's body."""
        verdict = self.verdict
        return _dump(
            {
                "from": self.queue,
                "to": JOB_MANAGER,
                "time": _now(),
                "jobId": self.job_id,
                **_path_keys(self.path),
                "md5": self.md5,
                "errors": list(self.errors),
                "message": self.message,
                "sha256": self.sha256,
                "stage": self.stage,
                "stageVersion": self.version,
                "attempt": self.attempt,
                "result": self.result,
                "outcome": None if verdict is None else _verdict_keys(verdict),
            }
        )


def read_task(body: bytes) -> Task:
    """The task that a message holds. Raises BadMessage."""
    keys = _load(body)
    return Task(
        queue=_text(keys, "to"),
        job_id=_text(keys, "jobId"),
        path=_path(keys),
        md5=_hex(keys, "md5", 32) or "",
        record=_optional(keys, "message", dict) or {},
        stage=_optional(keys, "stage", str),
        version=_optional(keys, "stageVersion", str),
        sha256=_hex(keys, "sha256", 64),
        attempt=_count(keys, "attempt") or 1,
        given=_optional(keys, "given", dict) or {},
    )


def read_result(body: bytes) -> Result:
    """The result that a message holds. Raises BadMessage."""
    keys = _load(body)
    errors = _optional(keys, "errors", list) or []
    return Result(
        queue=_text(keys, "from"),
        job_id=_text(keys, "jobId"),
        path=_path(keys),
        md5=_hex(keys, "md5", 32) or "",
        errors=tuple(str(error) for error in errors),
        message=keys.get("message"),
        result=keys.get("result"),
        stage=_optional(keys, "stage", str),
        version=_optional(keys, "stageVersion", str),
        sha256=_hex(keys, "sha256", 64),
        attempt=_count(keys, "attempt") or 1,
        verdict=_verdict(_optional(keys, "outcome", dict)),
    )


def _verdict_keys(verdict: Verdict) -> dict[str, Any]:
    return {
        "state": verdict.state,
        "found": verdict.found,
        "reason": verdict.reason,
        "model": verdict.model,
        "modelDigest": verdict.model_digest,
        "seconds": verdict.seconds,
        "attempts": verdict.attempts,
        "problems": list(verdict.problems),
    }


def _verdict(keys: Mapping[str, Any] | None) -> Verdict | None:
    if keys is None:
        return None
    problems = _optional(keys, "problems", list) or []
    return Verdict(
        state=_text(keys, "state"),
        found=bool(keys.get("found")),
        reason=_said(keys, "reason"),
        model=_optional(keys, "model", str),
        model_digest=_optional(keys, "modelDigest", str),
        seconds=_seconds(keys),
        attempts=_count(keys, "attempts") or 1,
        problems=tuple(str(problem) for problem in problems),
    )


def headers(token: str, correlation_id: str) -> dict[str, str]:
    """The headers of every message."""
    return {"x-correlation-id": correlation_id, **bearer(token)}


def bearer(token: str) -> dict[str, str]:
    """The header that bears a token."""
    return {"authorization": f"Bearer {token}"}


def correlation(found: Mapping[str, Any]) -> str:
    """The correlation id of a message that came, "" where there is none."""
    return _header(found, "x-correlation-id")


def token(found: Mapping[str, Any]) -> str:
    """The token of a message that came, without its scheme."""
    said = _header(found, "authorization")
    scheme, _, rest = said.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else said


def reason(found: Mapping[str, Any]) -> str:
    """Why a message of ours is a dead letter, "" where nobody of ours said it."""
    return _header(found, REASON)


def death(found: Mapping[str, Any]) -> str:
    """The broker's word for why a message became a dead letter, "" where it has none."""
    deaths = found.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return _header(first, "reason") if isinstance(first, dict) else ""


def _header(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _path_keys(path: bytes) -> dict[str, str]:
    """A path as text, and its bytes beside it where text cannot say them."""
    try:
        return {"filepath": "/" + path.decode("utf-8")}
    except UnicodeDecodeError:
        exact = base64.b64encode(path).decode("ascii")
        return {"filepath": "/" + path.decode("utf-8", "replace"), "pathBytes": exact}


def _path(keys: Mapping[str, Any]) -> bytes:
    exact = _optional(keys, "pathBytes", str)
    if exact is not None:
        try:
            return base64.b64decode(exact, validate=True)
        except ValueError as error:
            raise BadMessage("pathBytes is no base64") from error
    return _text(keys, "filepath").removeprefix("/").encode("utf-8")


def _dump(keys: Mapping[str, Any]) -> bytes:
    return json.dumps(keys, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def _load(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BYTES:
        raise BadMessage(f"the message holds {len(body)} bytes; {MAX_BYTES} are the most")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadMessage("the message is no JSON") from error
    if not isinstance(found, dict):
        raise BadMessage("the message is no JSON object")
    return found


def _text(keys: Mapping[str, Any], name: str) -> str:
    value = keys.get(name)
    if not isinstance(value, str) or not value:
        raise BadMessage(f"the message has no {name}")
    return _sound(name, value)


def _optional(
    keys: Mapping[str, Any], name: str, kind: type[T] | tuple[type[Any], ...]
) -> T | None:
    value = keys.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadMessage(f"{name} of the message is of the wrong kind")
    if isinstance(value, str):
        _sound(name, value)
    return value


def _sound(name: str, text: str) -> str:
    """The text. Raises BadMessage where no database takes it: names are never put right."""
    if storable(text) != text:
        raise BadMessage(f"{name} of the message is no valid text")
    return text


def _said(keys: Mapping[str, Any], name: str) -> str | None:
    """Words for people, put right where they are no valid text: the answer counts all the same."""
    value = keys.get(name)
    if isinstance(value, str):
        return storable(value)
    return _optional(keys, name, str)


def _count(keys: Mapping[str, Any], name: str) -> int | None:
    value = _optional(keys, name, int)
    if value is not None and not 0 <= value <= _MOST:
        raise BadMessage(f"{name} of the message is out of range")
    return value


def _seconds(keys: Mapping[str, Any]) -> float:
    value = _optional(keys, "seconds", (int, float)) or 0
    if not 0 <= value <= _MOST:  # as is no NaN
        raise BadMessage("seconds of the message is out of range")
    return float(value)


def _hex(keys: Mapping[str, Any], name: str, length: int) -> str | None:
    value = _optional(keys, name, str)
    if not value:
        return None
    low: str = value.lower()
    if len(low) != length or not _HEX.fullmatch(low):
        raise BadMessage(f"{name} of the message is no digest")
    return low


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
