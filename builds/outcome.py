"""What a builder's report says of an attempt itself, checked: times, memory, the rung, the level."""

from builder.contract import SANDBOX_LEVELS, BadMessage, BuildReport

# Three years of one processor, and a petabyte: whoever says more is wrong.
MOST_S = 1e8
MOST_BYTES = 1 << 50
# What a rung may be called; it is shown, and compared with nothing.
MOST_RUNG = 30


def outcome_of(report: BuildReport) -> dict[str, object]:
    """Return what a build's row keeps of a report; raises BadMessage for what cannot be."""
    for field, value in (("duration_s", report.duration_s), ("cpu_s", report.cpu_s)):
        if not 0 <= value <= MOST_S:
            raise BadMessage(f"BuildReport.{field} must be from 0 to {MOST_S:g} seconds.")
    if not 0 <= report.peak_memory_bytes <= MOST_BYTES:
        raise BadMessage(f"BuildReport.peak_memory_bytes must be from 0 to {MOST_BYTES}.")
    if report.sandbox not in SANDBOX_LEVELS:
        raise BadMessage(f"BuildReport.sandbox must be one of {', '.join(SANDBOX_LEVELS)}.")
    if len(report.rung) > MOST_RUNG or not report.rung.isprintable():
        raise BadMessage(f"BuildReport.rung must be a name of at most {MOST_RUNG} characters.")
    return {
        "cpu_s": report.cpu_s or None,
        "peak_memory_bytes": report.peak_memory_bytes or None,
        "rung": report.rung,
        "sandbox": report.sandbox,
    }
