"""What comes with a report in one request: the end of the log, and wheels that are small.

Here the bytes are only told apart, as the report itself says; whether they are what they seem is for
`verify.py` to see, as with those that were uploaded.  No Django.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise

from builder.contract import BadMessage, BuildReport, decode


@dataclass(frozen=True)
class Attached:
    """The bytes that came behind a report."""

    log_offset: int
    log: bytes
    wheels: tuple[bytes, ...] | None  # in the order of the report's; None when they were uploaded before

    def wheel(self, number: int) -> bytes | None:
        """Return the bytes of one of the report's wheels; None if they must have been uploaded."""
        return None if self.wheels is None else self.wheels[number]


def split(body: bytes, report_length: int | None) -> tuple[BuildReport, Attached]:
    """Return the report in a request's body, and what is behind it; raises BadMessage if they do not fit."""
    report = decode(BuildReport, body[:report_length])
    lengths = [report.log_length, *(wheel.size for wheel in report.wheels if report.attached)]
    rest = body[len(body) if report_length is None else report_length :]
    if min(lengths) < 0 or report.log_offset < 0 or sum(lengths) != len(rest):
        raise BadMessage(
            f"{len(rest)} bytes came behind the report, which announces {sum(lengths)}: send what it says."
        )
    log, *wheels = (rest[start:end] for start, end in pairwise(accumulate(lengths, initial=0)))
    return report, Attached(report.log_offset, log, tuple(wheels) if report.attached else None)
