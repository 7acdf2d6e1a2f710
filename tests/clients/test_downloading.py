"""How files travel: no more of them than is needed, and whole in the end."""

import random

import pytest

from tests.clients.installers import OLD, Otherwise, Sources, before
from tests.clients.place import Failed
from tests.clients.wire import Wire

pytestmark = pytest.mark.clients


@pytest.fixture
def wire(world):
    """A wire to our index."""
    with Wire(world.stack.nginx.url) as wire:
        yield wire


@pytest.fixture(scope="module")
def rejected(world):
    """A package whose second version needs what there is not."""
    world.wheel("rejected", "1.0")
    world.wheel("rejected", "2.0", requires=("base>=2",))
    world.wheel("base", "1.0")
    world.publish()


WHOLE = {
    **dict.fromkeys(
        before("23.2"),
        Otherwise(
            "pip before 23.2 does not read the METADATA beside our wheels: it loads the wheel.",
            r"asked\('rejected-2\.0-py3-none-any\.whl\.metadata'\)",
        ),
    ),
    **dict.fromkeys(
        OLD, Otherwise("pip before 20.3 does not look for another version.", r"assert '2\.0' == '1\.0'")
    ),
}


@pytest.mark.deviates(WHOLE)
def test_to_reject_a_version_its_metadata_alone_is_read(world, rejected, wire, client, place):
    client.install(place, "rejected base", Sources(f"{wire.url}/simple/"))

    assert place.version("rejected") == "1.0"
    assert wire.asked("rejected-2.0-py3-none-any.whl.metadata")
    assert not wire.asked("rejected-2.0-py3-none-any.whl")


@pytest.fixture(scope="module")
def big(world):
    """A package whose wheel takes a while."""
    padding = random.Random(5).randbytes(3_000_000)
    _, answer = world.wheel("big", "1.0", padding=padding)
    world.publish()
    return answer, padding


def is_whole(place, big):
    return place.answer("big") == big[0] and (place.packages / "big.bin").read_bytes() == big[1]


def test_after_an_interrupted_download_the_whole_file_is_installed(world, big, wire, client, place):
    """By the client itself, or by whoever starts it again."""
    wire.cut("big-1.0-py3-none-any.whl")

    try:
        client.install(place, "big", Sources(f"{wire.url}/simple/"))
    except Failed:
        assert place.answer("big") is None
        client.install(place, "big", Sources(f"{wire.url}/simple/"))

    assert is_whole(place, big)


NO_RESUMING = dict.fromkeys(before("25.1"), "pip before 25.1 has no `--resume-retries`.")
ANEW = {
    **dict.fromkeys(
        ["uv pip", "uv", "pdm"],
        Otherwise("It resumes nothing, and begins anew.", r"assert \(200, False\) == \(206, True\)"),
    ),
    "poetry": Otherwise("It resumes nothing, and ends with an error.", "IncompleteRead"),
}


@pytest.mark.lacks(NO_RESUMING)
@pytest.mark.deviates(ANEW)
def test_an_interrupted_download_is_resumed_where_it_ended(world, big, wire, client, place):
    wire.cut("big-1.0-py3-none-any.whl")

    client.resume(place, "big", Sources(f"{wire.url}/simple/"))

    assert is_whole(place, big)
    first, second = wire.asked("big-1.0-py3-none-any.whl")
    assert first.status == 200
    assert (second.status, second.range.startswith("bytes=")) == (206, True)
