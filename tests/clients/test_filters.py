"""The indexes by filter, with real lock files."""

from dataclasses import replace

import pytest

from tests.clients.test_installing import SUPPLEMENTAL
from tests.clients.world import chosen

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def both(world):
    """A package of which upstream has a pure wheel, and we have had one; return what upstream's answers."""
    world.upstream_sdist("both", "1.0")
    world.wheel("both", "1.0")
    theirs = world.upstream_wheel("both", "1.0")
    world.follow("both")
    world.publish()
    return theirs


@pytest.fixture(scope="module")
def ours(world):
    """A package of which upstream has a source alone, and we a wheel for every Python and platform."""
    world.upstream_sdist("ours", "1.0")
    wheels = world.wheels("ours")
    world.follow("ours")
    world.publish()
    return wheels


@pytest.fixture(scope="module")
def theirs(world):
    """A package that we do not have."""
    return world.upstream_wheel("theirs", "1.0")


def test_simple_platform_leaves_a_lock_of_upstream_alone_as_it_is(world, both, client, place):
    client.lock(place, "both", world.alone())

    client.install_locked(place, world.beside(index="simple-platform"))

    assert place.answer("both") == both


@pytest.mark.deviates({"poetry": SUPPLEMENTAL})
def test_simple_platform_has_what_upstream_has_no_wheel_of(world, both, ours, client, place):
    client.install(place, "both ours", world.beside("ours", index="simple-platform"))

    assert place.answer("both") == both
    assert place.answer("ours") == chosen(ours, client.minor, place.platform)[1]


def test_simple_full_is_all_that_a_client_needs_and_its_lock_holds_on_another_platform(
    world, both, ours, theirs, client, place
):
    client.lock(place, "both ours theirs", world.ours("simple-full"))
    place = replace(place, platform="linux-aarch64")

    client.install_locked(place, world.ours("simple-full"))

    native = chosen(ours, client.minor, place.platform)[1]
    assert (place.answer("both"), place.answer("ours"), place.answer("theirs")) == (both, native, theirs)


@pytest.fixture(scope="module")
def bound(world):
    """A package whose second version runs on the release alone that it was built on."""
    world.wheel("bound", "1.0")
    world.wheels("bound", "2.0")
    world.publish()


@pytest.mark.parametrize(("release", "number"), [("test", "2.0"), ("next", "1.0")])
def test_the_index_of_a_release_has_what_runs_there(world, bound, release, number, client, installed):
    assert installed("bound", world.ours(f"{release}/simple")).version("bound") == number
