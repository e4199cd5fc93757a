"""Pictures that somebody sends to be described: received onto the disk, within limits.

Nothing is held in memory but what is being parsed: a small request as it is, of a large one a
little of each picture. Names that clients give their files are never looked at.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from caseframe.domain.errors import CaseframeError, NoRoom, UsageError
from caseframe.domain.text import one_line
from caseframe.vision.computer_vision_pb2 import ModelType

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SMALL = 1_000_000  # a request up to this size stays in memory as a whole
_SPOOL = 32_768  # bytes of each picture of a larger one that do
_FIELDS = 20
_FIELD_BYTES = 65_536
_JSON_FRAMING = 65_536
# Lists, objects and commas that a request may hold beside 3 a picture: parsed, each of them takes
# 24 times its bytes, and all others wait meanwhile. Base64 has none.
_SIGNS = 64
_MODELS = {str(number): name for name, number in ModelType.items()}
_TAKES = "send JSON with image or images in base64, or multipart/form-data with files"


class TooLarge(CaseframeError):
    """The request is larger than is allowed."""


class TooSlow(CaseframeError):
    """The request did not arrive in time."""


@dataclass(frozen=True)
class UploadLimits:
    """Sizes in bytes, `seconds` for a request to arrive."""

    picture: int
    parts: int
    seconds: float = 300.0

    @property
    def json(self) -> int:
        """Largest JSON request: it is parsed in memory, so only a form may hold more pictures."""
        return self.picture * 4 // 3 + _JSON_FRAMING


@dataclass
class Sent:
    """One picture as it came; `error` says why it cannot be used at all."""

    file: SpooledTemporaryFile[bytes]
    size: int
    error: str | None = None

    def read(self) -> bytes:
        """All of it. Call it from a thread."""
        self.file.seek(0)
        return self.file.read()


@dataclass
class Upload:
    """What one request asks for; `several` says that the answer is a list."""

    model: str | None = None
    several: bool = False
    pictures: list[Sent] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(picture.size for picture in self.pictures)

    def close(self) -> None:
        """Give the disk back what the pictures took."""
        for picture in self.pictures:
            picture.file.close()


class _Parser(MultiPartParser):
    """A form that ends before its end is refused, instead of being taken for a shorter one."""

    ended = False

    def on_end(self) -> None:
        self.ended = True

    async def parse(self) -> FormData:
        try:
            form = await super().parse()
        except OSError:  # a full disk: what is there already goes
            self._close()
            raise
        if not self.ended:
            self._close()
            raise MultiPartException("it ends in the middle")
        return form

    def _close(self) -> None:
        for file in self._files_to_close_on_error:
            with suppress(OSError):  # what could not be written cannot be flushed either
                file.close()


@contextmanager
def on_disk() -> Iterator[None]:
    """Writing temporary files. Raises NoRoom when their disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        said = f"no room left for temporary files in {gettempdir()}; free some, or set TMPDIR"
        raise NoRoom(said) from error


class Receiver:
    """Reads requests. For one event loop."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        # JSON is parsed in memory as a whole, so only one at a time.
        self._parsing = asyncio.Lock()

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Upload]:
        """The upload of a request, on disk until the block ends.

        Raises UsageError for what cannot be read, TooLarge, TooSlow, NoRoom.
        """
        try:
            async with asyncio.timeout(self._limits.seconds):
                with on_disk():
                    upload = await self._read(request)
        except TimeoutError as error:
            said = f"the pictures did not arrive within {self._limits.seconds:g} s"
            raise TooSlow(said) from error
        try:
            yield upload
        finally:
            if upload.size > _SMALL:
                await to_thread.run_sync(upload.close)
            else:
                upload.close()

    async def _read(self, request: Request) -> Upload:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await self._form(request)
        if kind == "application/json":
            return await self._json(request)
        raise UsageError(f"this content type is not taken; {_TAKES}")

    async def _form(self, request: Request) -> Upload:
        parser = _Parser(
            request.headers, request.stream(), max_files=self._limits.parts, max_fields=_FIELDS,
            max_part_size=_FIELD_BYTES,
        )  # fmt: skip
        parser.spool_max_size = _spool(request.headers)
        try:
            form = await parser.parse()
        except (MultiPartException, FormParserError) as error:
            raise UsageError(f"the form cannot be read: {error}") from error
        return self._of_form(form)

    def _of_form(self, form: FormData) -> Upload:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        model = form.get("model")
        upload = Upload(pictures=[self._sent(one) for one in files], several=len(files) > 1)
        try:
            upload.model = model_name(model if isinstance(model, str) else None)
            if not files:
                raise UsageError(f"there is no picture in this form; {_TAKES}")
        except UsageError:
            upload.close()
            raise
        return upload

    def _sent(self, file: UploadFile) -> Sent:
        size = file.size or 0
        held: Any = file.file
        return Sent(held, size, self._fault(size))

    def _fault(self, size: int) -> str | None:
        if not size:
            return "the picture is empty: 0 bytes"
        if size > self._limits.picture:
            return f"{size} bytes, over the limit of {self._limits.picture} for one picture"
        return None

    async def _json(self, request: Request) -> Upload:
        spool = _spool(request.headers)
        with SpooledTemporaryFile[bytes](spool) as body:
            await self._gather(request, body)
            async with self._parsing:
                return await to_thread.run_sync(self._parse, body, spool)

    async def _gather(self, request: Request, body: SpooledTemporaryFile[bytes]) -> None:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._limits.json:
                raise TooLarge(
                    f"a request in JSON may have {self._limits.json} bytes; send larger ones as "
                    "multipart/form-data"
                )
            if size <= _SPOOL:
                body.write(chunk)
            else:
                await to_thread.run_sync(body.write, chunk)

    def _parse(self, body: SpooledTemporaryFile[bytes], spool: int) -> Upload:
        body.seek(0)
        text = body.read()
        if sum(map(text.count, (b"[", b"{", b","))) > _SIGNS + 3 * self._limits.parts:
            raise UsageError(f"the body holds more than pictures and a model; {_TAKES}")
        try:
            asked = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError("the body is not valid JSON") from error
        if not isinstance(asked, dict):
            raise UsageError(f"the body must be a JSON object; {_TAKES}")
        model = model_name(asked.get("model"))
        given = self._given(asked)
        return Upload(model, "images" in asked, [self._decoded(one, spool) for one in given])

    def _given(self, asked: dict[str, Any]) -> list[Any]:
        if ("image" in asked) == ("images" in asked):
            raise UsageError(f"give either image or images; {_TAKES}")
        if "image" in asked:
            return [asked["image"]]
        images = asked["images"]
        if not isinstance(images, list) or not images:
            raise UsageError("images must be a list of at least one picture in base64")
        if len(images) > self._limits.parts:
            raise UsageError(f"a request may hold {self._limits.parts} pictures at most")
        return images

    def _decoded(self, given: object, spool: int) -> Sent:
        file = SpooledTemporaryFile[bytes](spool)
        try:
            data = _from_base64(given)
        except ValueError as error:
            return Sent(file, 0, str(error))
        file.write(data)
        file.flush()  # a full disk shows now, and not when the picture's turn has come
        return Sent(file, len(data), self._fault(len(data)))


def _spool(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return _SMALL if declared.isdecimal() and int(declared) <= _SMALL else _SPOOL


def _from_base64(given: object) -> bytes:
    if not isinstance(given, str):
        raise ValueError("a picture must be a string in base64")
    head, comma, rest = given.partition(",")
    text = rest if comma and head.startswith("data:") and head.endswith(";base64") else given
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:  # as mail programs and some languages write it, in lines
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the picture is not valid base64") from error


def model_name(given: object) -> str | None:
    """A model as clients name it: its name, or its number as number or text; None for none.

    Raises UsageError for anything else.
    """
    if given is None or given == "":
        return None
    text = str(given).strip() if isinstance(given, str | int) else ""
    name = _MODELS.get(text, text.upper())
    if isinstance(given, bool) or name not in _MODELS.values():
        known = ", ".join(f"{name} = {number}" for number, name in _MODELS.items())
        raise UsageError(f"no model is called {one_line(text, 40) or 'that'}; there are: {known}")
    return name
