"""What a server and a builder say to each other: the order, the report, and the paths of the API.

Both sides import this module, and only this one in common; it needs nothing but the standard library.
Orders go down the queue as two numbers, the rest is asked for and answered over HTTP as JSON.  What comes in
is checked field by field: `decode` raises `BadMessage` and never guesses.
"""

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Grows with each change that the other side must understand; another number is refused.
CONTRACT = 2

# What a builder calls itself to indexes, of which this farm's own counts no download of it.
AGENT = "piwheels-builder"

# The Celery task's name.  Its arguments are a build's id and its attempt, and nothing else.
BUILD_TASK = "build"

# Everything below is under this path of the server.  With the builder's token:
#   POST  hello                          BuilderFacts -> Welcome; sent all the time, as often as that says
#   POST  builds/<id>/<attempt>/claim    -> BuildOrder; 409 when the build is not this builder's to have
# With the ticket of the order, which dies with the attempt (then each of them answers 409):
#   POST  builds/<id>/heartbeat?log=N    body: the log's bytes from offset N on -> Heartbeat
#   HEAD  builds/<id>/wheels/<filename>  with the header Upload-Sha256 -> header Upload-Offset: how many
#                                        bytes have arrived
#   PATCH builds/<id>/wheels/<filename>  body: bytes from Upload-Offset on, with the headers Upload-Length
#                                        and Upload-Sha256 of the whole file -> header Upload-Offset
#   POST  builds/<id>/report             BuildReport -> Verdict; 422 with the reason when a wheel is refused.
#                                        With the header Report-Length only so many bytes are the report;
#                                        behind it come the log's last bytes and the wheels, as it says.
#                                        With the builder's token in the header Next-For, the verdict brings
#                                        the builder's next order, as a claim would.
# An error's body is {"error": "what is wrong and what to do"}.
API = "/builder/v1/"

# The most that one heartbeat brings of a log, in bytes; the server reads no more.
LOG_CHUNK = 256 << 10
# The most that is kept of a log, in bytes; what comes after it is dropped.
LOG_LIMIT = 10 << 20
# The most that may come with a report, of log and wheels together, in bytes; larger wheels are uploaded.
ATTACHED_LIMIT = 512 << 10
# The most bytes of a report itself, so that it fits into a request with all that comes behind it.
REPORT_LIMIT = 256 << 10
# The most files that a report tells of as fetched; an honest build environment is made of some ten.
MAX_FETCHED = 500
# The most wheels that one build may leave; an honest source leaves one.
MAX_WHEELS = 8


class BadMessage(ValueError):
    """What came in is not what the contract says; the text names the field."""


@dataclass(frozen=True)
class BuilderFacts:
    """What a builder says of itself; shown to operators, believed by nobody."""

    contract: int
    python: str  # "3.13"
    platform: str  # sysconfig.get_platform(), "linux-armv7l"
    os_release: str  # VERSION_CODENAME, "trixie"
    model: str  # the board, "Raspberry Pi 4 Model B Rev 1.4"
    memory_bytes: int
    memory_free_bytes: int
    swap_bytes: int
    swap_free_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    load: float  # over one minute
    temperature_c: float | None
    clock: float  # what its clock says, in seconds since 1970
    sandbox: str  # the level that builds run at: "full", "box" or "bare"
    sandbox_lacks: tuple[str, ...]  # what keeps it from the next level, each in a sentence
    problems: tuple[str, ...]  # why it takes no work at the moment, each in a sentence
    build: int  # the build that it is at; 0 when it is idle
    versions: dict[str, str]  # of pip, celery and the like
    up_s: float = 0.0  # for how long its program runs; 0 when it does not say


@dataclass(frozen=True)
class Welcome:
    """The answer to a builder's hello."""

    heartbeat_s: float  # how soon the next one is expected
    stop: bool  # end when idle, as an operator says so
    problem: str = ""  # why it is given nothing, in sentences; "" when nothing is wrong with it


@dataclass(frozen=True)
class BuildOrder:
    """All that a builder needs to make one attempt, and the ticket that lets it report."""

    contract: int
    build: int
    attempt: int
    ticket: str
    package: str  # canonical name
    version: str  # as upstream spells it
    target: str  # "trixie-armhf-cp313"
    platform: str  # what the wheel's platform shall be called, "linux-armv7l"
    platforms: tuple[str, ...]  # that a wheel may name, ("linux_armv6l", "linux_armv7l")
    architecture: str  # Debian's name, "armhf"
    abi: str  # of the target's Python, "cp313"
    filename: str
    url: str
    sha256: str
    uploaded_at: int | None  # seconds since 1970; becomes SOURCE_DATE_EPOCH
    index: str  # the simple index that build dependencies come from
    extra_index: str  # another one beside it, this farm's own; "" for none
    time_limit_s: float
    memory_bytes: int  # the most that the build may use; 0 leaves it to the builder
    apt: tuple[str, ...]  # Debian packages that the build needs beyond what every builder has
    environment: dict[str, str]  # variables that a recipe sets
    rung: str  # the rung of the ladder to begin with; "" for the first
    rebuild_under_s: float  # build again, to compare the bytes, what took less than this
    heartbeat_s: float  # how often the server wants to hear of this build
    crates: str = ""  # the sparse index of a registry of Rust's crates; "" for none
    build_tag: str = ""  # that the wheel's name must have (PEP 427), "1"; "" for none
    lease_s: float = 900.0  # how long the build is the builder's after its last word


@dataclass(frozen=True)
class Heartbeat:
    """The answer to a build's heartbeat."""

    log_size: int  # how many bytes of the log have arrived
    is_watched: bool = False  # whether somebody looks at the log as it grows


@dataclass(frozen=True)
class Trial:
    """What happened when a wheel was installed into a clean sandbox and its modules were imported."""

    outcome: str  # "works", "fails", or "unknown" when it could not be tried
    modules: tuple[str, ...]  # the top-level modules that were imported
    detail: str  # the last lines of what went wrong; "" when nothing did


@dataclass(frozen=True)
class WheelReport:
    """A wheel as its builder describes it; the server reads the file itself."""

    filename: str
    size: int
    sha256: str
    apt: tuple[str, ...]  # Debian packages that its shared libraries need, as "libpq5 (>= 10)"
    unresolved: tuple[str, ...] = ()  # libraries that it needs and that no package on the builder has
    reproducible: bool | None = None  # whether a second build gave the same bytes; None when none was made
    trial: Trial = Trial(outcome="unknown", modules=(), detail="")


@dataclass(frozen=True)
class Fetched:
    """A file that the build fetched through the package proxy."""

    filename: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class BuildReport:
    """How an attempt ended, once all of its wheels are uploaded, or with them behind it."""

    contract: int
    succeeded: bool
    reason: str  # why not, in a sentence; empty after a success
    duration_s: float  # of `pip wheel` alone: the time that a user would have spent
    wheels: tuple[WheelReport, ...]
    failure: str = ""  # its class where the builder knows it, as "out-of-memory"; "" leaves it to the log
    cpu_s: float = 0.0  # processor time of `pip wheel`
    peak_memory_bytes: int = 0  # of all of its processes together; 0 when it could not be measured
    rung: str = ""  # the rung of the ladder that was reached
    sandbox: str = "bare"  # the level that it ran at
    made_with: dict[str, str] = field(default_factory=dict)  # model, os, python, pip, compiler and the like
    environment: dict[str, str] = field(default_factory=dict)  # the variables that were set for it
    fetched: tuple[Fetched, ...] = ()  # what its build environment was made of
    log_offset: int = 0  # where in the log the bytes begin that come behind the report
    log_length: int = 0  # how many these are
    attached: bool = False  # whether all wheels come behind them, in the order of `wheels`


@dataclass(frozen=True)
class Verdict:
    """What the server made of a report."""

    state: str
    reason: str
    next: BuildOrder | None = None  # what to build now, if that was asked for and there is something


# The rungs of the ladder of build tools, in their order; `builder.rungs` says what each is.
RUNGS = ("current", "setuptools<82", "known-modules", "older-tools", "time-travel")

# How far a build is kept apart from its builder, from the least to the most; `builder.sandbox` says how.
SANDBOX_LEVELS = ("bare", "box", "full")

Message = TypeVar(
    "Message",
    BuilderFacts,
    Welcome,
    BuildOrder,
    Heartbeat,
    Trial,
    WheelReport,
    Fetched,
    BuildReport,
    Verdict,
)
Checked = TypeVar("Checked", bound="DataclassInstance")


def queue_for(builder: str) -> str:
    """Return the name of a builder's own queue in Redis."""
    return f"b.{builder}.q"


def encode(message: Any) -> bytes:  # Any: each of the dataclasses above
    """Return a message as JSON."""
    return json.dumps(asdict(message), separators=(",", ":")).encode()


def decode(kind: type[Message], body: bytes) -> Message:
    """Return the message of that kind in a JSON body.

    Fields that we do not know are ignored, as a newer side may send them; a field that is missing and has no
    default, or is of another type, or another contract, raises BadMessage.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"The body is not JSON: {error}.") from error
    message = read(kind, content, kind.__name__)
    theirs = getattr(message, "contract", CONTRACT)
    if theirs != CONTRACT:
        raise BadMessage(
            f"This side speaks contract {CONTRACT}, the other {theirs}: update the older of the two."
        )
    return message


def read(kind: type[Checked], content: Any, where: str) -> Checked:  # Any: JSON, about to be checked
    """Return a dataclass made of a JSON object, checked field by field; raises BadMessage."""
    if not isinstance(content, dict):
        raise BadMessage(f"{where} must be a JSON object.")
    hints = _hints(kind)
    values = {}
    for part in fields(kind):
        if part.name not in content:
            if part.default is not MISSING or part.default_factory is not MISSING:
                continue
            raise BadMessage(f"{where}.{part.name} is missing.")
        values[part.name] = _check(hints[part.name], content[part.name], f"{where}.{part.name}")
    return kind(**values)


# The types of a message's fields; kept, as Python reads them anew from their text each time.
_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)  # Any: types


def _check(kind: Any, value: Any, where: str) -> Any:  # Any: a type and JSON, about to be checked
    """Return a value if it is of that type."""
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        if value is None:
            return None
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise BadMessage(f"{where} must be a list.")
        return tuple(_check(get_args(kind)[0], item, where) for item in value)
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise BadMessage(f"{where} must be an object of strings.")
        return {_check(str, key, where): _check(str, item, where) for key, item in value.items()}
    if hasattr(kind, "__dataclass_fields__"):
        return read(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = _float(value, where)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise BadMessage(f"{where} must be of type {kind.__name__}, not {type(value).__name__}.")
    return _check_range(value, where)


def _float(value: int, where: str) -> float:
    """Return a number that came without a point."""
    try:
        return float(value)
    except OverflowError as error:
        raise BadMessage(f"{where} is too large.") from error


def _check_range(value: Any, where: str) -> Any:  # Any: a value whose type is right
    """Return a value if every database and every reader of JSON can take it."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadMessage(f"{where} must be a finite number.")
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise BadMessage(f"{where} is too large.")
    if isinstance(value, str) and ("\0" in value or (not value.isascii() and _has_surrogate(value))):
        raise BadMessage(f"{where} has a character that is none.")
    return value


def legible(text: str) -> str:
    """Return a text that the other side takes: without the characters that are none."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _has_surrogate(text: str) -> bool:
    """Tell whether a text cannot be written as UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in text)
