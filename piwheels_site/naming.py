"""Which package an address means, whatever its spelling, and where that is upstream."""

from django.conf import settings
from django.http import Http404

from packages.project import canonical


def canonical_or_404(name: str) -> str:
    """Return the canonical form of a package's name; what cannot be one has no page."""
    if found := canonical(name):
        return found
    raise Http404("That is no package's name.")


def upstream_url(name: str) -> str:
    """Return the address of a package's page upstream."""
    return f"{settings.PIWHEELS_PYPI.removesuffix('simple/')}project/{name}/"
