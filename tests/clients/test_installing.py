"""What is installed of what there is, and that it stays."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.clients.installers import OLD, Otherwise, before
from tests.clients.world import FROM_SOURCE, chosen

pytestmark = pytest.mark.clients

WEEK = timedelta(days=7)
# What is installed in one go, and looked at by several tests.
OURS = "native yanked rebuilt"
BESIDE = "lacking compiled"


@pytest.fixture(scope="module")
def native(world):
    """A package with a wheel for every Python and platform."""
    wheels = world.wheels("native")
    world.publish()
    return wheels


@pytest.fixture(scope="module")
def yanked(world):
    """A package whose second version upstream has yanked."""
    for number in ("1.0", "2.0"):
        world.upstream_sdist("yanked", number)
        world.wheel("yanked", number)
    world.upstream.yank("yanked", "2.0", "It deletes files.")
    world.follow("yanked")
    world.publish()


@pytest.fixture(scope="module")
def rebuilt(world):
    """A wheel that was built again ten times: the tenth is higher than the ninth only as a number."""
    wheel, _ = world.wheel("rebuilt", "1.0")
    for _ in range(10):
        wheel, answer = world.rebuild(wheel)
    world.publish()
    return answer


@pytest.fixture(scope="module")
def ours(world, native, yanked, rebuilt):
    """What is installed from our index alone."""
    return world.ours()


def test_E01_E04_the_file_for_its_platform_is_installed(ours, native, client, platform, installed):
    place = installed(OURS, ours, platform)

    assert place.answer("native") == chosen(native, client.minor, platform)[1]


def test_E05_on_armv6l_it_fits_what_is_installed_and_is_not_installed_again(ours, client, installed):
    place = installed(OURS, ours, "linux-armv6l")
    installed_at = place.installed_at("native")

    client.check(place)
    client.install(place, OURS, ours)

    assert place.installed_at("native") == installed_at


NO_YANKS = Otherwise(
    "pip before 19.2 knows no yanks, and takes a yanked file as any other.", r"assert '2\.0' == '1\.0'"
)
NO_BUILD_TAGS = Otherwise(
    "pip 9 knows no build tags, and takes the file without one.", r"assert [0-9]+ == [0-9]+"
)


@pytest.mark.deviates(dict.fromkeys(OLD, NO_YANKS))
def test_E06_what_upstream_yanked_is_not_chosen(ours, client, installed):
    assert installed(OURS, ours).version("yanked") == "1.0"


@pytest.mark.deviates({"pip 9.0.3": NO_BUILD_TAGS})
def test_E08_of_rebuilds_the_last_is_installed(ours, rebuilt, client, installed):
    assert installed(OURS, ours).answer("rebuilt") == rebuilt


@pytest.fixture(scope="module")
def lacking(world):
    """A package that we do not have; return what upstream's wheel answers."""
    return world.upstream_wheel("lacking", "1.0")


@pytest.fixture(scope="module")
def compiled(world):
    """A package of which upstream has a source alone."""
    world.upstream_sdist("compiled", "1.0")
    wheels = world.wheels("compiled")
    world.follow("compiled")
    world.publish()
    return wheels


@pytest.fixture(scope="module")
def beside(world, lacking, compiled):
    """Upstream's index, and ours beside it."""
    return world.beside("compiled")


def test_E09_a_project_that_we_lack_is_installed_from_upstream(beside, lacking, client, installed):
    assert installed(BESIDE, beside).answer("lacking") == lacking


SUPPLEMENTAL = Otherwise(
    "poetry asks a supplemental source only for what upstream has nothing of, and a source is something: with"
    " `/simple-full/` as its primary source it gets our wheel.",
    rf"assert {FROM_SOURCE} == [0-9]+",
)


@pytest.mark.deviates({"poetry": SUPPLEMENTAL})
def test_where_upstream_has_a_source_our_wheel_is_installed(beside, compiled, client, installed):
    place = installed(BESIDE, beside)

    assert place.answer("compiled") == chosen(compiled, client.minor, place.platform)[1]
    assert place.answer("compiled") != FROM_SOURCE


@pytest.fixture(scope="module")
def superseded(world):
    """A package of which upstream has a pure wheel, since we had one; return what upstream's answers."""
    world.upstream_sdist("superseded", "1.0")
    world.wheel("superseded", "1.0")
    theirs = world.upstream_wheel("superseded", "1.0")
    world.follow("superseded")
    world.publish()
    return theirs


FIRST_INDEX = Otherwise(
    "uv looks no further than the first index that knows the package, and there all files are yanked: its"
    " users have `/simple-platform/` beside PyPI, or `/simple-full/` instead of it.",
    r"superseded==1\.0 was yanked",
)


@pytest.mark.deviates({"uv pip": FIRST_INDEX, "uv": FIRST_INDEX})
def test_a_superseded_file_is_not_chosen(world, superseded, client, installed):
    assert installed("superseded", world.beside()).answer("superseded") == superseded


@pytest.fixture(scope="module")
def dated(world):
    """A package with an old version and a new one."""
    world.wheel("dated", "1.0", published_at=datetime.now(UTC) - 4 * WEEK)
    world.wheel("dated", "2.0")
    world.publish()


NO_CUTOFF = {
    **dict.fromkeys(before("26.0"), "pip before 26.0 has no `--uploaded-prior-to`."),
    "pipenv": "pipenv has no such option.",
}


@pytest.mark.lacks(NO_CUTOFF)
def test_E02_E03_only_what_was_uploaded_before_is_chosen(world, dated, client, place):
    client.install(place, "dated", world.ours(), before=datetime.now(UTC) - WEEK)

    assert place.version("dated") == "1.0"
