"""A job manager's service for tests, and a client of the contract that shares no code of ours."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from grpc_tools import protoc
from tests.support.people import Town
from tests.support.web import Person

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.tokens import TokenMint
from caseframe.catalog.database import Catalog
from caseframe.jobmanager.server import JobServices, serving
from caseframe.pipeline.manager import JobManager
from caseframe.stages.registry import Registry
from caseframe.tls import TlsFiles

CONTRACT = """
syntax = "proto3";
package jobmanager;
import "google/protobuf/timestamp.proto";
service JobManagerController {
  rpc getAllJobs(GetJobsRequest) returns (GetJobsResponse);
  rpc getAllJobsInProgress(GetJobsRequest) returns (GetJobsResponse);
  rpc createNewJob(CreateNewJobReqest) returns (CreateNewJobResponse);
  rpc deleteJobAndAllData(DeleteJobRequest) returns (DeleteJobResponse);
  rpc getAvailableSources(GetAvailableSourcesRequest) returns (GetAvailableSourcesResponse);
  rpc startScanningJob(StartScanningJobRequest) returns (StartScanningJobResponse);
  rpc getImages(GetImagesRequest) returns (GetImagesResponse);
  rpc getData(GetDataRequest) returns (stream GetDataResponse);
}
enum Order { ORDER_UNSPECIFIED = 0; ASC = 1; DESC = 2; }
message ServiceError {
  uint32 code = 1; string type = 2; string message = 3; google.protobuf.Timestamp date = 4;
}
message Job {
  string id = 1; string name = 2; string description = 3; string source = 4;
  uint32 images = 5; uint32 jpegs = 6; uint32 pngs = 7; string user_id = 8;
  google.protobuf.Timestamp created_at = 9; bool scanned = 10; bool in_progress = 11;
}
message JobList { repeated Job values = 1; }
message GetJobsRequest { uint32 items = 1; string cursor = 2; Order order = 3; }
message GetJobsResponse { oneof result { JobList jobs = 1; ServiceError errors = 2; } }
message CreateNewJobReqest { string name = 1; string description = 2; string source = 3; }
message CreateNewJobResponse { oneof result { string id = 1; ServiceError errors = 2; } }
message DeleteJobRequest { string id = 1; }
message DeleteJobResponse { oneof result { bool success = 1; ServiceError errors = 2; } }
message SourceInfo {
  string name = 1; google.protobuf.Timestamp created_at = 2;
  google.protobuf.Timestamp modified_at = 3;
}
message SourceList { repeated SourceInfo values = 1; }
message GetAvailableSourcesRequest {}
message GetAvailableSourcesResponse {
  oneof result { SourceList sources = 1; ServiceError errors = 2; }
}
message StartScanningJobRequest { string id = 1; }
message StartScanningJobResponse { oneof result { string state = 1; ServiceError errors = 2; } }
message FaceData { string hash = 1; int32 x = 2; int32 y = 3; int32 width = 4; int32 height = 5; }
message Image {
  string id = 1; string filename = 2; string mimetype = 3; float filesize = 4;
  int32 width = 5; int32 height = 6; string format = 7; string colorspace = 8;
  string resolution = 9; int32 depth = 10; string source = 11;
  google.protobuf.Timestamp createdAt = 12; string md5 = 13; string sha1 = 14;
  string exifData = 15; repeated FaceData faces = 16; string tags = 17;
}
message ImageList { repeated Image values = 1; }
message GetImagesRequest { string jobId = 1; uint32 items = 2; string cursor = 3; Order order = 4; }
message GetImagesResponse { oneof result { ImageList images = 1; ServiceError errors = 2; } }
message GetDataRequest { string filepath = 1; }
message GetDataResponse { bytes data = 1; }
"""
"""Written from the description of the wire, not from our own file."""

REQUESTS = {
    "getAllJobs": ("GetJobsRequest", "GetJobsResponse"),
    "getAllJobsInProgress": ("GetJobsRequest", "GetJobsResponse"),
    "createNewJob": ("CreateNewJobReqest", "CreateNewJobResponse"),
    "deleteJobAndAllData": ("DeleteJobRequest", "DeleteJobResponse"),
    "getAvailableSources": ("GetAvailableSourcesRequest", "GetAvailableSourcesResponse"),
    "startScanningJob": ("StartScanningJobRequest", "StartScanningJobResponse"),
    "getImages": ("GetImagesRequest", "GetImagesResponse"),
    "getData": ("GetDataRequest", "GetDataResponse"),
}
WAIT = 60.0


def messages(folder: Path) -> Callable[[str], Any]:
    """The contract's message classes by name, compiled in `folder`."""
    (folder / "contract.proto").write_text(CONTRACT)
    compiled = folder / "contract.bin"
    import grpc_tools  # noqa: PLC0415

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = [f"-I{folder}", f"-I{well_known}", f"--descriptor_set_out={compiled}"]
    assert protoc.main(["protoc", *arguments, "contract.proto"]) == 0
    # A pool of its own: the default one holds our messages under the same names.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"jobmanager.{name}")
    )


@dataclass
class RawClient:
    """Calls methods by name: `client("getAllJobs", items=3)`."""

    channel: grpc.Channel
    message: Callable[[str], Any]
    token: str | None = None
    correlation_id: str | None = field(default_factory=lambda: str(uuid.uuid4()))

    def with_token(self, token: str | None) -> RawClient:
        return RawClient(self.channel, self.message, token, self.correlation_id)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        given = [("x-correlation-id", self.correlation_id), ("authorization", self.token)]
        return tuple((key, value) for key, value in given if value is not None)

    def __call__(self, method: str, **fields: Any) -> Any:
        """The answer; for getData all of the bytes. Raises grpc.RpcError."""
        request, response = (self.message(name) for name in REQUESTS[method])
        path = f"/jobmanager.JobManagerController/{method}"
        given: dict[str, Any] = {"timeout": WAIT, "metadata": self.metadata()}
        if method == "getData":
            stream = self.channel.unary_stream(path, request.SerializeToString, response.FromString)
            return b"".join(one.data for one in stream(request(**fields), **given))
        call = self.channel.unary_unary(path, request.SerializeToString, response.FromString)
        return call(request(**fields), **given)

    def status(self, method: str, **fields: Any) -> grpc.StatusCode:
        """How a call ends; OK with what it says of `errors` taken as its own status."""
        try:
            answer = self(method, **fields)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        assert method == "getData" or answer.WhichOneof("result") != "errors", answer.errors
        return grpc.StatusCode.OK


@contextmanager
def job_server(
    parts: Any,
    sources: Path,
    *,
    mint: TokenMint,
    address: str = "127.0.0.1:0",
    tls: TlsFiles | None = None,
    stages: tuple[str, ...] = ("exif",),
    grace: float = 5.0,
) -> Iterator[str]:
    """A service over `parts`, which has a catalog, accounts and a manager; yields where it is."""
    services = JobServices(parts.catalog, parts.accounts, mint, parts.manager, sources, stages)
    with serving(services, address, tls=tls, grace=grace) as where:
        yield where


@dataclass(frozen=True)
class Parts:
    """What the service stands on."""

    town: Town
    manager: JobManager

    @property
    def catalog(self) -> Catalog:
        return self.town.catalog

    @property
    def accounts(self) -> Accounts:
        return self.town.accounts


def idle(town: Town) -> Parts:
    """Parts with a manager that is never started: no job is run."""

    def no_runner(*_: object) -> None:
        raise AssertionError("nothing is run here")

    return Parts(town, JobManager(town.catalog, Registry(()), no_runner))  # type: ignore[arg-type]


def as_person(raw: RawClient, person: Person) -> RawClient:
    """The same client as a person who is signed in."""
    return raw.with_token(f"Bearer {person.tokens.access}")


def create(client: RawClient, name: str = "A job", source: str = "Office") -> str:
    """The id of a new job."""
    return str(client("createNewJob", name=name, description="Words", source=source).id)


def finished(client: RawClient, job: str) -> None:
    """Start a job that may be started already, and wait for its end."""
    end = time.monotonic() + WAIT
    while client("startScanningJob", id=job).state != "completed":
        assert time.monotonic() < end
        time.sleep(0.1)


def listed(client: RawClient, method: str = "getAllJobs", **wanted: object) -> list[str]:
    """The ids of jobs in the order they come."""
    return [job.id for job in client(method, **wanted).jobs.values]
