"""What each wheel was made of, by whom and how: an in-toto statement with SLSA's predicate, not yet signed.

A PEP 740 attestation signs this very form.  What the server knows itself stands as it is; what the builder
says is cleaned, cut to size and kept apart from that, as nobody here has seen it.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice

from builder.contract import MAX_FETCHED, BuildReport, Fetched
from builds.log_text import clean
from builds.models import Build
from builds.planning import recipes

# The forms' names, not addresses that anybody asks.
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:piwheels:pip-wheel:v1"
# What was built by the software of piwheels.org, of which we know no more than its database told.
IMPORTED_TYPE = "urn:piwheels:imported:v1"

# What is taken from a report at the most.
MOST_FACTS = 100
MOST_TEXT = 300

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SECRET = re.compile(r"(?i)token|secret|passw|credential|_key$|^key$|auth|cookie")
_USER_IN_URL = re.compile(r"://[^/@\s]{1,300}@")


def statement(build: Build, filename: str, sha256: str, report: BuildReport, now: datetime) -> bytes:
    """Return the provenance of one wheel of a build that is about to be published, as JSON."""
    return _document(filename, sha256, _definition(build, report), _run(build, report, now))


def imported(
    *, filename: str, sha256: str, parameters: Mapping[str, str], builder: str, build: int, ended_at: datetime
) -> bytes:
    """Return the same of a wheel that another software built, of which its database tells no more."""
    definition = {
        "buildType": IMPORTED_TYPE,
        "externalParameters": dict(parameters),
        "internalParameters": {},
        "resolvedDependencies": [],
    }
    run = {
        "builder": {"id": f"urn:piwheels:builder:{builder}", "version": {}},
        "metadata": {"invocationId": str(build), "finishedOn": _time(ended_at)},
        "byproducts": [],
    }
    return _document(filename, sha256, definition, run)


def _document(
    filename: str, sha256: str, definition: Mapping[str, object], run: Mapping[str, object]
) -> bytes:
    """Return a statement of one wheel as JSON."""
    document = {
        "_type": STATEMENT,
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": definition, "runDetails": run},
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _definition(build: Build, report: BuildReport) -> dict[str, object]:
    """Return what was to be built, and of what."""
    parameters = {
        "package": build.version.package.name,
        "version": build.version.number,
        "target": build.target.key,
        "apt": recipes.apt_since_claim(build),
    }
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": parameters,
        "internalParameters": {
            "rung": _clean(report.rung),
            "sandbox": _clean(report.sandbox),
            "environment": _facts(report.environment),
        },
        "resolvedDependencies": [*_source(build), *_fetched(report.fetched)],
    }


def _run(build: Build, report: BuildReport, now: datetime) -> dict[str, object]:
    """Return who built it, when, with which tools, and what that took."""
    measured = {
        "duration_s": report.duration_s,
        "cpu_s": report.cpu_s,
        "peak_memory_bytes": report.peak_memory_bytes,
    }
    return {
        "builder": {
            "id": f"urn:piwheels:builder:{build.builder.name if build.builder else ''}",
            "version": _facts(report.made_with),
        },
        "metadata": {
            "invocationId": f"{build.pk}/{build.attempt}",
            "startedOn": _time(build.claimed_at) if build.claimed_at else None,
            "finishedOn": _time(now),
        },
        "byproducts": [{"name": "measured", "annotations": measured}],
    }


def _source(build: Build) -> list[dict[str, object]]:
    """Return the source as upstream lists it."""
    if build.source is None:
        return []
    source = build.source
    return [
        {
            "name": source.filename,
            "uri": source.url,
            "digest": {"sha256": source.sha256},
            "annotations": {"role": "source"},
        }
    ]


def _fetched(files: tuple[Fetched, ...]) -> list[dict[str, object]]:
    """Return what the builder says its build environment was made of, sorted."""
    good = (file for file in files if _SHA256.fullmatch(file.sha256) and file.size >= 0)
    return [
        {
            "name": _clean(file.filename),
            "uri": _clean(file.url),
            "digest": {"sha256": file.sha256},
            "annotations": {"role": "build environment", "size": file.size},
        }
        for file in sorted(islice(good, MAX_FETCHED), key=lambda file: (file.filename, file.sha256))
    ]


def _facts(facts: Mapping[str, str]) -> dict[str, str]:
    """Return names and values that a builder reports, less what looks like a secret."""
    kept = islice(((name, value) for name, value in facts.items() if not _SECRET.search(name)), MOST_FACTS)
    return {_clean(name): _clean(value) for name, value in kept}


def _clean(text: str) -> str:
    """Return a builder's text as it can be shown: short, visible, without a user in an address."""
    return _USER_IN_URL.sub("://", clean(text[: 4 * MOST_TEXT]))[:MOST_TEXT]


def _time(time: datetime) -> str:
    """Return a time as RFC 3339 has it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
