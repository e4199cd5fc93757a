"""Captions: what a captioning model says of a picture; the model itself runs in another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caseframe.domain.errors import (
    CaseframeError,
    StageAway,
    VisionAway,
    VisionBusy,
    VisionLate,
)
from caseframe.domain.facts import Facts, Text
from caseframe.stages.stage import (
    Frame,
    StageContext,
    StageError,
    StageResult,
    StageUnavailable,
    VisionAccess,
)

if TYPE_CHECKING:
    from caseframe.vision.client import Answer, VisionClient


class CaptionResult(StageResult):
    """The model's words as they came, and the name that the model goes by."""

    caption: str
    made_by: str

    @property
    def found(self) -> bool:
        """A model may also have nothing to say."""
        return bool(self.caption)

    def facts(self) -> Facts:
        """The caption is text to search."""
        return Facts(texts=(Text("caption", self.caption),) if self.caption else ())


class CaptionStage:
    """Describes each picture in a sentence, by the captioning model that is installed."""

    name = "caption"
    title = "Captions"
    version = "1"
    max_side: int | None = None
    after: tuple[str, ...] = ()
    result: type[StageResult] = CaptionResult
    model: str | None = None
    model_digest: str | None = None
    batch = 8

    def __init__(self) -> None:
        self._client: VisionClient | None = None
        self._access = VisionAccess()
        self._most: int | None = None

    def missing(self, context: StageContext) -> str | None:
        """Why there are no captions here, or None."""
        return context.vision.missing

    def prepare(self, context: StageContext) -> None:
        """Reach the vision service, and wait until its model is loaded. Raises StageUnavailable."""
        from caseframe.vision.client import TlsFiles, VisionClient  # noqa: PLC0415 - workers only

        self._access = access = context.vision
        tls = TlsFiles(access.ca, access.cert, access.key).wanted
        client = VisionClient(access.address, tls=tls, seconds=access.seconds)
        try:
            identity = client.identity(access.model)
            self._most = client.most_bytes()
        except CaseframeError as error:
            client.close()
            raise _unavailable(error) from error
        self._client = client
        self.model, self.model_digest = f"{identity.model} {identity.revision}", identity.digest

    def gather(self, frame: Frame, earlier: Mapping[str, StageResult]) -> bytes:  # noqa: ARG002
        """The file as it is: the service decodes it as it does for everyone, so words agree.

        Raises StageError for one larger than the service takes: it would be held for nothing.
        """
        size = len(frame.data)
        if self._most is not None and size > self._most:
            raise StageError(
                f"{size} bytes, over the vision service's limit of {self._most} "
                "(vision_image_bytes)"
            )
        return frame.data

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> StageResult:
        """Describe one picture."""
        answer = self.run_many([self.gather(frame, earlier)])[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run_many(self, gathered: Sequence[bytes]) -> list[StageResult | Exception]:
        """Describe several pictures. Raises StageUnavailable when the service is away."""
        if self._client is None:
            raise StageUnavailable("the vision service was not reached")
        name = self._access.model
        try:
            answers = list(self._client.describe_many(gathered, name))
        except CaseframeError as error:
            raise _unavailable(error) from error
        return [_result(answer, name) for answer in answers]


def _unavailable(error: CaseframeError) -> StageUnavailable:
    passing = isinstance(error, (VisionAway, VisionBusy, VisionLate))
    return StageAway(str(error)) if passing else StageUnavailable(str(error))


def _result(answer: Answer, name: str) -> StageResult | Exception:
    if answer.error is None:
        return CaptionResult(caption=answer.description or "", made_by=name)
    # What is not the picture's fault is tried again at the next scan.
    return StageUnavailable(answer.error) if answer.transient else StageError(answer.error)
