"""What both ends of the wire agree on: the names of the methods, of the models, of the errors."""

from __future__ import annotations

from typing import Final, cast

import grpc
from grpc import StatusCode

from caseframe.domain.errors import (
    CaseframeError,
    ModelUnavailable,
    PictureError,
    PictureRefused,
    UsageError,
    VisionAway,
    VisionBusy,
    VisionFailed,
    VisionLate,
)
from caseframe.domain.text import one_line
from caseframe.vision.computer_vision_pb2 import ModelType

SERVICE: Final = "computer_vision.ComputerVision"
PROCESS_IMAGE: Final = "ProcessImage"
PROCESS_BATCH: Final = "ProcessImageBatch"
GET_MODELS: Final = "GetModels"

FRAMING = 65_536
"""Bytes that a message may hold beside its picture."""
WINDOW = 16
"""Unanswered pictures of one batch: what a client sends and a server reads ahead."""

_STATUS: Final = (
    (UsageError, StatusCode.INVALID_ARGUMENT),
    (PictureError, StatusCode.INVALID_ARGUMENT),
    (ModelUnavailable, StatusCode.FAILED_PRECONDITION),
    (VisionBusy, StatusCode.RESOURCE_EXHAUSTED),
    (VisionLate, StatusCode.DEADLINE_EXCEEDED),
    (VisionAway, StatusCode.UNAVAILABLE),
)
_ERRORS: Final[dict[int, type[CaseframeError]]] = {
    StatusCode.INVALID_ARGUMENT.value[0]: PictureRefused,
    StatusCode.FAILED_PRECONDITION.value[0]: ModelUnavailable,
    StatusCode.RESOURCE_EXHAUSTED.value[0]: VisionBusy,
    StatusCode.DEADLINE_EXCEEDED.value[0]: VisionLate,
    StatusCode.UNAVAILABLE.value[0]: VisionAway,
}


def status_of(error: Exception) -> StatusCode:
    """The status with which a call ends that met this error; INTERNAL for all that is ours."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), StatusCode.INTERNAL)


def number_of(status: StatusCode) -> int:
    """The number of a status on the wire (gRPC's status codes, 0 to 16)."""
    number: int = status.value[0]
    return number


def error_of(number: int, message: str) -> CaseframeError:
    """The error that a client raises for a status that is not OK."""
    return _ERRORS.get(number, VisionFailed)(message or "the vision service gave no reason")


def raised(error: grpc.RpcError, address: str) -> CaseframeError:
    """Our error for a call to `address` that failed."""
    status, details = error.code(), one_line(error.details() or "")
    if status is StatusCode.UNAVAILABLE:
        return VisionAway(f"the vision service at {address} does not answer: {details}")
    if status is StatusCode.DEADLINE_EXCEEDED and not details.startswith("it was"):
        return VisionLate(f"the vision service at {address} did not answer in time")
    if status is StatusCode.CANCELLED:
        return VisionAway("the connection to the vision service was closed")
    return error_of(number_of(status), details)


def model_number(name: str) -> ModelType:
    """A model's number on the wire. Raises UsageError for a name that is none of ours."""
    try:
        return cast("ModelType", ModelType.Value(name))
    except ValueError as error:
        known = ", ".join(ModelType.keys())
        raise UsageError(f"no model is called {name}; there are: {known}") from error


def model_name(number: int) -> str:
    """A model's name. Raises UsageError for a number that is none of ours."""
    try:
        return ModelType.Name(number)
    except ValueError as error:
        known = ", ".join(f"{name} = {value}" for name, value in ModelType.items())
        raise UsageError(f"no model has the number {number}; there are: {known}") from error
