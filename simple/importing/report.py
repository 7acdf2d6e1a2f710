"""What there is to say of an import, to a person and to a program."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packages.importing.progress import READ, WRITTEN, Told

# What that software counts and this one does not.
NOT_TAKEN = (
    "project_page_hits",
    "project_json_downloads",
    "metadata_downloads",
    "web_page_hits",
    "rewrites_pending",
    "configuration",
)


@dataclass(frozen=True)
class Report:
    """What was read, what was written, and what was refused why, since the import began."""

    software: str
    is_dry: bool
    targets: Mapping[str, str]
    steps: Mapping[str, Told]
    refusals: Mapping[str, Mapping[str, int]]

    @property
    def refused(self) -> int:
        """How many things are not taken."""
        return sum(sum(reasons.values()) for reasons in self.refusals.values())

    def subjects(self) -> dict[str, dict[str, int]]:
        """Return what was counted of each subject."""
        return {
            subject: dict(counts) for told in self.steps.values() for subject, counts in told.counts.items()
        }

    def to_json(self) -> str:
        """Return all of it as JSON."""
        told = {
            "software": self.software,
            "dry_run": self.is_dry,
            "targets": self.targets,
            "subjects": self.subjects(),
            "refused": {subject: dict(reasons) for subject, reasons in self.refusals.items()},
            "seconds": {name: round(step.took_s, 3) for name, step in self.steps.items() if step.took_s},
            "not_taken": NOT_TAKEN,
        }
        return json.dumps(told, indent=1, sort_keys=True)

    def lines(self) -> Iterator[str]:
        """Give it as lines of a table."""
        would = "would be " if self.is_dry else ""
        for abi, key in self.targets.items():
            yield f"{abi} is {key}."
        for subject, counts in self.subjects().items():
            refused = sum(self.refusals.get(subject, {}).values())
            rest = "".join(
                f", {count} {what}" for what, count in sorted(counts.items()) if what not in (READ, WRITTEN)
            )
            yield (
                f"{subject}: {counts.get(READ, 0)} read, {counts.get(WRITTEN, 0)} {would}written,"
                f" {refused} {would}refused{rest}."
            )
        for subject, reasons in self.refusals.items():
            for reason, count in reasons.items():
                yield f"  {count} {subject}: {reason}"
        yield f"Not taken, as nothing here counts them: {', '.join(NOT_TAKEN)}."
