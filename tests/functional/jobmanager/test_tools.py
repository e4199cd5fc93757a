"""What tools ask of the job manager: reflection and health."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.support.jobs import REQUESTS, WAIT, RawClient


def test_reflection_tells_the_contract(raw: RawClient) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(raw.channel)
    ask = reflection_pb2.ServerReflectionRequest
    requests = iter(
        [ask(list_services=""), ask(file_containing_symbol="jobmanager.JobManagerController")]
    )
    services, file = stub.ServerReflectionInfo(requests, timeout=WAIT)
    names = {one.name for one in services.list_services_response.service}
    assert {"jobmanager.JobManagerController", "grpc.health.v1.Health"} <= names
    found = FileDescriptorProto.FromString(file.file_descriptor_response.file_descriptor_proto[0])
    told = {
        (message.name, field.name, field.number, field.type, field.label)
        for message in found.message_type
        for field in message.field
    }
    (ours,) = [service for service in found.service if service.name == "JobManagerController"]
    assert [method.name for method in ours.method] == list(REQUESTS)
    for name in {one for pair in REQUESTS.values() for one in pair} | {"Job", "Image", "FaceData"}:
        for field in raw.message(name).DESCRIPTOR.fields:
            label = 3 if field.is_repeated else 1
            assert (name, field.name, field.number, field.type, label) in told


def test_health_is_told_to_those_who_ask_and_those_who_watch(raw: RawClient) -> None:
    stub: Any = health_pb2_grpc.HealthStub(raw.channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "jobmanager.JobManagerController", "jobmanager.JobControl"):
        request = health_pb2.HealthCheckRequest(service=name)
        assert stub.Check(request, timeout=WAIT).status == serving
        watch = stub.Watch(request, timeout=WAIT)
        assert next(watch).status == serving
        watch.cancel()
