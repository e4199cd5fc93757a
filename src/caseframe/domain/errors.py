"""Every error that Caseframe raises on purpose.

CaseframeError
├── UsageError            what was asked for makes no sense; exit status 2
├── SourceError           the folder of pictures cannot be used
├── CaseError             the case folder or its catalog cannot be used
│   ├── CatalogBusy       another process holds the catalog longer than we wait
│   └── CatalogAway       the database server does not answer; it may come back
├── Stopped               somebody asked for an end; what was done is kept
├── NotFound              no picture, job or stage goes by that name
├── StageError            a stage met a picture that is its own but broken
│   └── StageUnavailable  a stage cannot work here: a package or a model is missing
├── ModelUnavailable      a model for descriptions is not installed, or its files are damaged
├── PictureError          a picture cannot be decoded
│   └── OverLimit         decoding it would take more than the limits allow
└── ReadError             the bytes of a file cannot be had

Messages are one line and say what to do about it.
"""


class CaseframeError(Exception):
    """Base of all errors raised on purpose; `str()` is fit to show to a person."""


class UsageError(CaseframeError):
    """The request itself is wrong."""


class SourceError(CaseframeError):
    """The source folder is missing, unreadable or not a folder."""


class CaseError(CaseframeError):
    """The case folder or its catalog cannot be opened or written."""


class CatalogBusy(CaseError):
    """Another process held the catalog's write lock for longer than the time limit."""


class CatalogAway(CaseError):
    """The database server does not answer now."""


class Stopped(CaseframeError):
    """The work was asked to stop, and did at a place where nothing is lost."""

    def __init__(self) -> None:
        super().__init__("stopped; the same command goes on where it stopped")


class NotFound(CaseframeError):
    """Nothing in the case answers to that path, digest or name."""


class StageError(CaseframeError):
    """The stage understands this kind of picture, and this one is broken."""


class StageUnavailable(StageError):
    """The stage cannot run on this machine; the message says what to install."""


class ModelUnavailable(CaseframeError):
    """The model cannot be used; the message names the command that mends it."""


class PictureError(CaseframeError):
    """The picture's pixels cannot be had; the message is the stored reason."""


class OverLimit(PictureError):
    """The picture is larger than the limits allow; nothing was decoded."""


class ReadError(CaseframeError):
    """The file could not be read, or changed while it was read."""
