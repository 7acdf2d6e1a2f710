"""Locks with hashes, and that they hold whatever happens to what they name."""

import itertools

import pytest

from tests.clients.installers import OLD, Otherwise
from tests.clients.world import FROM_SOURCE, chosen

pytestmark = pytest.mark.clients

OTHER_HASH = "DO NOT MATCH THE HASHES"
# Neither shipped with a Raspberry Pi OS that is still cared for.
BY_NO_HASH = {
    "pip 18.1": Otherwise(
        "pip before 19.2 does not choose by the hashes of a lock: it takes the rebuild, and ends with an"
        " error.",
        OTHER_HASH,
    ),
    "pip 22.3.1": Otherwise(
        "pip 22.2 and 22.3 read no hashes from JSON to choose by: they take what they would without a lock,"
        " and end with an error if that is not in it.",
        OTHER_HASH,
    ),
}

_names = (f"locked-{number}" for number in itertools.count())


@pytest.mark.deviates(BY_NO_HASH)
def test_E08_what_was_locked_before_a_rebuild_is_installed_after_it(world, client, place):
    name = next(_names)
    wheels = world.wheels(name, minor=client.minor)
    world.publish()
    wheel, answer = chosen(wheels, client.minor, place.platform)
    lock = client.lock(place, name, world.ours())

    rebuilt, _ = world.rebuild(wheel)
    world.publish()
    client.install_locked(place, world.ours())

    assert place.answer(name) == answer
    assert wheel.sha256 in lock and rebuilt.sha256 not in lock
    wheel.refresh_from_db()
    assert wheel.yanked and not rebuilt.yanked


@pytest.fixture(scope="module")
def source(world):
    """A package of which upstream has a source, and we a wheel for all."""
    world.upstream_sdist("source", "1.0")
    world.wheel("source", "1.0")
    world.follow("source")
    world.publish()


OURS_ALONE = Otherwise(
    "It looks no further than at our wheel, whose hash is not the lock's, and ends with an error: such a lock"
    " has to be made with the indexes that it is installed from.",
    f"{OTHER_HASH}|Hash mismatch",
)
REFRESHED = Otherwise(
    "pdm takes the hashes of all of its sources into a lock that it refreshes, and installs our wheel.",
    rf"assert [0-9]+ == {FROM_SOURCE}",
)


@pytest.mark.deviates({**BY_NO_HASH, **dict.fromkeys([*OLD, "uv pip"], OURS_ALONE), "pdm": REFRESHED})
def test_E07_with_the_hash_of_upstreams_source_alone_that_is_built(world, source, client, place):
    client.lock(place, "source==1.0", world.alone())

    client.install_locked(place, world.beside())

    assert place.answer("source") == FROM_SOURCE
