"""What exists upstream, as rows: packages, their spellings, versions and files, and how far we have read.

Nothing here knows of builds.  Who depends on a package's facts looks at `revision` and `plan_needed`.
"""

from packages.models.dirty import Dirty
from packages.models.importing import ImportRefusal, ImportRefusalQuerySet, ImportStep
from packages.models.package import NEVER, Alias, Package, PackageQuerySet
from packages.models.sync_cursor import SyncCursor
from packages.models.version import Placed, UpstreamFile, UpstreamFileQuerySet, Version, canonical_version

__all__ = [
    "NEVER",
    "Alias",
    "Dirty",
    "ImportRefusal",
    "ImportRefusalQuerySet",
    "ImportStep",
    "Package",
    "PackageQuerySet",
    "Placed",
    "SyncCursor",
    "UpstreamFile",
    "UpstreamFileQuerySet",
    "Version",
    "canonical_version",
]
