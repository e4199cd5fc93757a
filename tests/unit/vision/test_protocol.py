"""The contract on the wire: names and numbers, and that the generated code is of this contract."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from grpc import StatusCode

from caseframe.domain import errors
from caseframe.domain.errors import CaseframeError, UsageError
from caseframe.vision import computer_vision_pb2 as pb
from caseframe.vision import protocol

ROOT = Path(__file__).parents[3]
GENERATED = ("computer_vision_pb2.py", "computer_vision_pb2.pyi")


def fields(message: type) -> dict[str, int]:
    return {field.name: field.number for field in message.DESCRIPTOR.fields}  # type: ignore[attr-defined]


def test_names_and_numbers_are_those_that_clients_know() -> None:
    assert dict(pb.ModelType.items()) == {"BLIP": 0, "BLIP_QUANTIZED": 1, "FACTS": 2}
    assert fields(pb.ImgProcRequest) == {"image": 1, "model": 2}
    assert fields(pb.ImgProcResponse) == {"description": 1, "index": 2, "error": 3, "code": 4}
    service = pb.DESCRIPTOR.services_by_name["ComputerVision"]
    assert service.full_name == protocol.SERVICE == "computer_vision.ComputerVision"
    shapes = {m.name: (m.client_streaming, m.server_streaming) for m in service.methods}
    assert shapes == {
        "ProcessImage": (False, False),
        "ProcessImageBatch": (True, True),
        "GetModels": (False, False),
    }


def test_the_bytes_on_the_wire_are_those_of_the_first_clients() -> None:
    assert pb.ImgProcRequest(image=b"ab").SerializeToString() == b"\x0a\x02ab"
    assert pb.ImgProcRequest(image=b"ab", model=pb.FACTS).SerializeToString() == (
        b"\x0a\x02ab\x10\x02"
    )
    assert pb.ImgProcResponse(description="ab").SerializeToString() == b"\x0a\x02ab"
    assert pb.ImgProcRequest.FromString(b"\x0a\x02ab").model == pb.BLIP


def test_the_generated_code_is_of_this_contract(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'proto'}",
            f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", "computer_vision.proto",
        ],
        check=True,
    )  # fmt: skip
    for name in GENERATED:
        committed = ROOT / "src" / "caseframe" / "vision" / name
        assert committed.read_text() == (tmp_path / name).read_text(), "run: make proto"


def own_errors() -> list[type[CaseframeError]]:
    names = ("ModelUnavailable", "VisionBusy", "VisionLate", "VisionAway", "VisionFailed")
    return [getattr(errors, name) for name in (*names, "PictureRefused")]


@pytest.mark.parametrize("kind", own_errors())
def test_an_error_comes_out_as_it_went_in(kind: type[CaseframeError]) -> None:
    status = protocol.status_of(kind("why"))
    back = protocol.error_of(protocol.number_of(status), "why")
    assert type(back) is kind
    assert str(back) == "why"


def test_every_status_becomes_an_error_with_a_reason() -> None:
    for status in StatusCode:
        error = protocol.error_of(protocol.number_of(status), "")
        assert isinstance(error, CaseframeError)
        assert str(error)
    assert protocol.status_of(KeyError("ours")) is StatusCode.INTERNAL


def test_models_have_names_and_numbers_both_ways() -> None:
    for name, number in pb.ModelType.items():
        assert protocol.model_number(name) == number
        assert protocol.model_name(number) == name
    for bad in ("", "blip", "GPT"):
        with pytest.raises(UsageError, match="no model is called"):
            protocol.model_number(bad)
    for wrong in (-1, 3, 2**31 - 1):
        with pytest.raises(UsageError, match="no model has the number"):
            protocol.model_name(wrong)
