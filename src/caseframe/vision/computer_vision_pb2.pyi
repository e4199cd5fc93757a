from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLIP: _ClassVar[ModelType]
    BLIP_QUANTIZED: _ClassVar[ModelType]
    FACTS: _ClassVar[ModelType]
BLIP: ModelType
BLIP_QUANTIZED: ModelType
FACTS: ModelType

class ImgProcRequest(_message.Message):
    __slots__ = ("image", "model")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    model: ModelType
    def __init__(self, image: _Optional[bytes] = ..., model: _Optional[_Union[ModelType, str]] = ...) -> None: ...

class ImgProcResponse(_message.Message):
    __slots__ = ("description", "index", "error", "code")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    description: str
    index: int
    error: str
    code: int
    def __init__(self, description: _Optional[str] = ..., index: _Optional[int] = ..., error: _Optional[str] = ..., code: _Optional[int] = ...) -> None: ...

class ModelsRequest(_message.Message):
    __slots__ = ("wanted",)
    WANTED_FIELD_NUMBER: _ClassVar[int]
    wanted: _containers.RepeatedScalarFieldContainer[ModelType]
    def __init__(self, wanted: _Optional[_Iterable[_Union[ModelType, str]]] = ...) -> None: ...

class ModelsResponse(_message.Message):
    __slots__ = ("models", "image_bytes")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    image_bytes: int
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., image_bytes: _Optional[int] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "model", "revision", "digest", "batch", "available", "reason", "preferred", "loaded")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: str
    revision: str
    digest: str
    batch: int
    available: bool
    reason: str
    preferred: bool
    loaded: bool
    def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ..., revision: _Optional[str] = ..., digest: _Optional[str] = ..., batch: _Optional[int] = ..., available: _Optional[bool] = ..., reason: _Optional[str] = ..., preferred: _Optional[bool] = ..., loaded: _Optional[bool] = ...) -> None: ...
