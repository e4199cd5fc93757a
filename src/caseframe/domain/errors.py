"""Every error that Caseframe raises on purpose.

CaseframeError
├── UsageError            what was asked for makes no sense; exit status 2
├── SourceError           the folder of pictures cannot be used
├── CaseError             the case folder or its catalog cannot be used
│   ├── CatalogBusy       another process holds the catalog longer than we wait
│   ├── CatalogFull       the disk of the catalog is full
│   └── CatalogAway       the database server does not answer; it may come back
├── NoRoom                the disk for temporary files is full
├── Stopped               somebody asked for an end; what was done is kept
├── NotFound              no picture, job or stage goes by that name
├── StageError            a stage met a picture that is its own but broken
│   └── StageUnavailable  a stage cannot work here: a package or a model is missing
│       └── StageAway     what it needs does not answer now; it may come back
├── ModelUnavailable      a model for descriptions is not installed, or its files are damaged
├── VisionError           the vision service has no description for this picture
│   ├── VisionAway        it does not answer; it may come back
│   ├── VisionBusy        there was no turn before the caller's time was over
│   ├── VisionLate        the caller's time was over while it was at work
│   └── VisionFailed      its decoder or its model broke on this picture
├── ServiceAway           another part of the system does not answer; it may come back
│   ├── BrokerAway        RabbitMQ
│   └── JobsAway          the job manager
├── Unroutable            there is no queue for a message
├── PictureError          a picture cannot be decoded
│   ├── OverLimit         decoding it would take more than the limits allow
│   └── PictureRefused    the vision service cannot decode it, or takes none so large
├── AccessError           somebody may not do this; its tree stands in access.py
└── ReadError             the bytes of a file cannot be had

Messages are one line and say what to do about it. They are for whoever runs the command; where the
one who reads them may be anybody, `public` has words that name no place on this machine.
"""


class CaseframeError(Exception):
    """Base of all errors raised on purpose; `str()` is fit to show to a person."""

    @property
    def public(self) -> str:
        """What people who only use the server may read of it."""
        return str(self)


class UsageError(CaseframeError):
    """The request itself is wrong."""


class SourceError(CaseframeError):
    """The source folder is missing, unreadable or not a folder."""


class CaseError(CaseframeError):
    """The case folder or its catalog cannot be opened or written."""

    @property
    def public(self) -> str:
        """Neither the folder nor what to type on the server."""
        return "the case cannot be used now; the server's log says why"


class CatalogBusy(CaseError):
    """Another process held the catalog's write lock for longer than the time limit."""

    @property
    def public(self) -> str:
        """What to do."""
        return "somebody else is changing this case; nothing was done, try again in a moment"


class CatalogFull(CaseError):
    """There is no room left on the disk that holds the catalog."""

    @property
    def public(self) -> str:
        """Who can do something about it."""
        return "the server's disk is full and nothing was stored; tell its administrator"


class CatalogRefused(CaseError):
    """The database can never hold what was to be written."""


class CatalogAway(CaseError):
    """The database server does not answer now."""

    @property
    def public(self) -> str:
        """What to do."""
        return "the catalog does not answer; nothing was done, try again in a moment"


class NoRoom(CaseframeError):
    """There is no room left on the disk for temporary files."""

    @property
    def public(self) -> str:
        """Who can do something about it."""
        return "the server has no room left for what you sent; tell its administrator"


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


class StageAway(StageUnavailable):
    """The stage cannot run now, because of something that may pass: it is worth trying again."""


class ModelUnavailable(CaseframeError):
    """The model cannot be used; the message names the command that mends it."""


class VisionError(CaseframeError):
    """No description came from the vision service, and the picture need not be to blame."""


class VisionAway(VisionError):
    """The service does not answer now, or is stopping."""


class VisionBusy(VisionError):
    """Others were before us until our time was over; try again later."""


class VisionLate(VisionError):
    """The time was over while the picture was at work."""


class VisionFailed(VisionError):
    """The decoder or the model broke on this picture; the message is the stored reason."""


class ServiceAway(CaseframeError):
    """Another part of the system does not answer now; it may come back."""


class BrokerAway(ServiceAway):
    """RabbitMQ does not answer, or takes no messages now."""


class JobsAway(ServiceAway):
    """The job manager does not answer now."""


class Unroutable(CaseframeError):
    """No queue takes a message of that kind: its workers never declared one."""


class PictureError(CaseframeError):
    """The picture's pixels cannot be had; the message is the stored reason."""


class OverLimit(PictureError):
    """Decoding the picture would take, or took, more than the limits allow."""


class PictureRefused(PictureError):
    """The vision service looked at the bytes and takes them for no picture that it can use."""


class ReadError(CaseframeError):
    """The file could not be read, or changed while it was read."""
