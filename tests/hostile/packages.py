"""The corpus: every hostile and silly package, by its name."""

from tests.hostile import archives, limits, neighbours, network, wheels
from tests.hostile.package import Package

PACKAGES: dict[str, Package] = {
    **limits.PACKAGES,
    **neighbours.PACKAGES,
    **network.PACKAGES,
    **wheels.PACKAGES,
    **archives.PACKAGES,
}
