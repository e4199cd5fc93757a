import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_UNSPECIFIED: _ClassVar[Order]
    ASC: _ClassVar[Order]
    DESC: _ClassVar[Order]
ORDER_UNSPECIFIED: Order
ASC: Order
DESC: Order

class ServiceError(_message.Message):
    __slots__ = ("code", "type", "message", "date")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATE_FIELD_NUMBER: _ClassVar[int]
    code: int
    type: str
    message: str
    date: _timestamp_pb2.Timestamp
    def __init__(self, code: _Optional[int] = ..., type: _Optional[str] = ..., message: _Optional[str] = ..., date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "name", "description", "source", "images", "jpegs", "pngs", "user_id", "created_at", "scanned", "in_progress")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    JPEGS_FIELD_NUMBER: _ClassVar[int]
    PNGS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SCANNED_FIELD_NUMBER: _ClassVar[int]
    IN_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    source: str
    images: int
    jpegs: int
    pngs: int
    user_id: str
    created_at: _timestamp_pb2.Timestamp
    scanned: bool
    in_progress: bool
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., source: _Optional[str] = ..., images: _Optional[int] = ..., jpegs: _Optional[int] = ..., pngs: _Optional[int] = ..., user_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., scanned: _Optional[bool] = ..., in_progress: _Optional[bool] = ...) -> None: ...

class JobList(_message.Message):
    __slots__ = ("values", "next")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Job]
    next: str
    def __init__(self, values: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class GetJobsRequest(_message.Message):
    __slots__ = ("items", "cursor", "order")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    items: int
    cursor: str
    order: Order
    def __init__(self, items: _Optional[int] = ..., cursor: _Optional[str] = ..., order: _Optional[_Union[Order, str]] = ...) -> None: ...

class GetJobsResponse(_message.Message):
    __slots__ = ("jobs", "errors")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    jobs: JobList
    errors: ServiceError
    def __init__(self, jobs: _Optional[_Union[JobList, _Mapping]] = ..., errors: _Optional[_Union[ServiceError, _Mapping]] = ...) -> None: ...

class CreateNewJobReqest(_message.Message):
    __slots__ = ("name", "description", "source", "path")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    source: str
    path: bytes
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., source: _Optional[str] = ..., path: _Optional[bytes] = ...) -> None: ...

class CreateNewJobResponse(_message.Message):
    __slots__ = ("id", "errors")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    id: str
    errors: ServiceError
    def __init__(self, id: _Optional[str] = ..., errors: _Optional[_Union[ServiceError, _Mapping]] = ...) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ("success", "errors")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    errors: ServiceError
    def __init__(self, success: _Optional[bool] = ..., errors: _Optional[_Union[ServiceError, _Mapping]] = ...) -> None: ...

class SourceInfo(_message.Message):
    __slots__ = ("name", "created_at", "modified_at", "path")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    name: str
    created_at: _timestamp_pb2.Timestamp
    modified_at: _timestamp_pb2.Timestamp
    path: bytes
    def __init__(self, name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., path: _Optional[bytes] = ...) -> None: ...

class SourceList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[SourceInfo]
    def __init__(self, values: _Optional[_Iterable[_Union[SourceInfo, _Mapping]]] = ...) -> None: ...

class GetAvailableSourcesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAvailableSourcesResponse(_message.Message):
    __slots__ = ("sources", "errors")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    sources: SourceList
    errors: ServiceError
    def __init__(self, sources: _Optional[_Union[SourceList, _Mapping]] = ..., errors: _Optional[_Union[ServiceError, _Mapping]] = ...) -> None: ...

class StartScanningJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class StartScanningJobResponse(_message.Message):
    __slots__ = ("state", "errors")
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    state: str
    errors: ServiceError
    def __init__(self, state: _Optional[str] = ..., errors: _Optional[_Union[ServiceError, _Mapping]] = ...) -> None: ...

class FaceData(_message.Message):
    __slots__ = ("hash", "x", "y", "width", "height")
    HASH_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    hash: str
    x: int
    y: int
    width: int
    height: int
    def __init__(self, hash: _Optional[str] = ..., x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("id", "filename", "mimetype", "filesize", "width", "height", "format", "colorspace", "resolution", "depth", "source", "createdAt", "md5", "sha1", "exifData", "faces", "tags", "filepath", "path", "sha256")
    ID_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    FILESIZE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    COLORSPACE_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CREATEDAT_FIELD_NUMBER: _ClassVar[int]
    MD5_FIELD_NUMBER: _ClassVar[int]
    SHA1_FIELD_NUMBER: _ClassVar[int]
    EXIFDATA_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    FILEPATH_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    id: str
    filename: str
    mimetype: str
    filesize: float
    width: int
    height: int
    format: str
    colorspace: str
    resolution: str
    depth: int
    source: str
    createdAt: _timestamp_pb2.Timestamp
    md5: str
    sha1: str
    exifData: str
    faces: _containers.RepeatedCompositeFieldContainer[FaceData]
    tags: str
    filepath: str
    path: bytes
    sha256: str
    def __init__(self, id: _Optional[str] = ..., filename: _Optional[str] = ..., mimetype: _Optional[str] = ..., filesize: _Optional[float] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., format: _Optional[str] = ..., colorspace: _Optional[str] = ..., resolution: _Optional[str] = ..., depth: _Optional[int] = ..., source: _Optional[str] = ..., createdAt: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., md5: _Optional[str] = ..., sha1: _Optional[str] = ..., exifData: _Optional[str] = ..., faces: _Optional[_Iterable[_Union[FaceData, _Mapping]]] = ..., tags: _Optional[str] = ..., filepath: _Optional[str] = ..., path: _Optional[bytes] = ..., sha256: _Optional[str] = ...) -> None: ...

class ImageList(_message.Message):
    __slots__ = ("values", "next")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Image]
    next: str
    def __init__(self, values: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class GetImagesRequest(_message.Message):
    __slots__ = ("jobId", "items", "cursor", "order")
    JOBID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    jobId: str
    items: int
    cursor: str
    order: Order
    def __init__(self, jobId: _Optional[str] = ..., items: _Optional[int] = ..., cursor: _Optional[str] = ..., order: _Optional[_Union[Order, str]] = ...) -> None: ...

class GetImagesResponse(_message.Message):
    __slots__ = ("images", "errors")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    images: ImageList
    errors: ServiceError
    def __init__(self, images: _Optional[_Union[ImageList, _Mapping]] = ..., errors: _Optional[_Union[ServiceError, _Mapping]] = ...) -> None: ...

class GetDataRequest(_message.Message):
    __slots__ = ("filepath", "path")
    FILEPATH_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    filepath: str
    path: bytes
    def __init__(self, filepath: _Optional[str] = ..., path: _Optional[bytes] = ...) -> None: ...

class GetDataResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("id", "walk", "rehash")
    ID_FIELD_NUMBER: _ClassVar[int]
    WALK_FIELD_NUMBER: _ClassVar[int]
    REHASH_FIELD_NUMBER: _ClassVar[int]
    id: str
    walk: bool
    rehash: bool
    def __init__(self, id: _Optional[str] = ..., walk: _Optional[bool] = ..., rehash: _Optional[bool] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("id", "seconds")
    ID_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    seconds: float
    def __init__(self, id: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ("stopped",)
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    stopped: bool
    def __init__(self, stopped: _Optional[bool] = ...) -> None: ...

class ProgressRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProgressResponse(_message.Message):
    __slots__ = ("running", "progress", "queue")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    running: str
    progress: JobProgress
    queue: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, running: _Optional[str] = ..., progress: _Optional[_Union[JobProgress, _Mapping]] = ..., queue: _Optional[_Iterable[str]] = ...) -> None: ...

class JobProgress(_message.Message):
    __slots__ = ("phase", "total", "seen", "unchanged", "examined", "bytes_read", "states", "stages", "stage_total", "stage_done", "current", "seconds", "samples", "waiting")
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class StagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: StageCounts
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[StageCounts, _Mapping]] = ...) -> None: ...
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    EXAMINED_FIELD_NUMBER: _ClassVar[int]
    BYTES_READ_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    STAGE_TOTAL_FIELD_NUMBER: _ClassVar[int]
    STAGE_DONE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    phase: str
    total: int
    seen: int
    unchanged: int
    examined: int
    bytes_read: int
    states: _containers.ScalarMap[str, int]
    stages: _containers.MessageMap[str, StageCounts]
    stage_total: int
    stage_done: int
    current: str
    seconds: float
    samples: _containers.RepeatedCompositeFieldContainer[ProgressSample]
    waiting: str
    def __init__(self, phase: _Optional[str] = ..., total: _Optional[int] = ..., seen: _Optional[int] = ..., unchanged: _Optional[int] = ..., examined: _Optional[int] = ..., bytes_read: _Optional[int] = ..., states: _Optional[_Mapping[str, int]] = ..., stages: _Optional[_Mapping[str, StageCounts]] = ..., stage_total: _Optional[int] = ..., stage_done: _Optional[int] = ..., current: _Optional[str] = ..., seconds: _Optional[float] = ..., samples: _Optional[_Iterable[_Union[ProgressSample, _Mapping]]] = ..., waiting: _Optional[str] = ...) -> None: ...

class StageCounts(_message.Message):
    __slots__ = ("states",)
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    STATES_FIELD_NUMBER: _ClassVar[int]
    states: _containers.ScalarMap[str, int]
    def __init__(self, states: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ProgressSample(_message.Message):
    __slots__ = ("age", "files", "stages")
    class StagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AGE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    age: float
    files: int
    stages: _containers.ScalarMap[str, int]
    def __init__(self, age: _Optional[float] = ..., files: _Optional[int] = ..., stages: _Optional[_Mapping[str, int]] = ...) -> None: ...
