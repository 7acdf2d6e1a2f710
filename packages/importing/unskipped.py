"""Finds what is skipped here and no longer there.

Nobody can tell whether a skip came with the import or was said here, so it is told and not ended.
"""

from collections.abc import Iterator

from packages.batches import batches
from packages.importing.original import Original
from packages.importing.versions import BINARY_ONLY
from packages.models import Package, Version

REASON = "it is skipped here and not there: unskip it, unless there is a reason here"

_PACKAGES = "SELECT package FROM packages WHERE package = ANY(%s) AND coalesce(skip, '') = ''"
_VERSIONS = """
    SELECT package, version FROM versions
    JOIN unnest(%s::text[], %s::text[]) AS ours (package, version) USING (package, version)
    WHERE coalesce(skip, '') IN ('', %s)
"""


def unskipped(original: Original) -> Iterator[str]:
    """Give the packages and versions, as the report names them."""
    packages = Package.objects.exclude(skip_reason="").order_by("pk").values_list("name", flat=True)
    for names in batches(packages.iterator()):
        yield from (name for (name,) in original.page(_PACKAGES, [names]))
    versions = Version.objects.exclude(skip_reason="").order_by("pk").values_list("package__name", "number")
    for pairs in batches(versions.iterator()):
        names, numbers = [name for name, _ in pairs], [number for _, number in pairs]
        for name, number in original.page(_VERSIONS, [names, numbers, BINARY_ONLY]):
            yield f"{name} {number}"
