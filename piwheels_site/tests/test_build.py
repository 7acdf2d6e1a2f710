import pytest

from builds.tests.rows import NOON, make_build, make_target, make_version, make_wheel
from tests.seen import text

pytestmark = pytest.mark.django_db

COMMAND = "pip install --extra-index-url http://testserver{}/simple/ --trusted-host testserver demo==1.0"


def make_stable(version, target, tag):
    """A build whose wheel is for the stable ABI: its name tells nothing of the release that it runs on."""
    build = make_build(version, target, state="succeeded", finished_at=NOON)
    make_wheel(build=build, filename=f"demo-1.0{tag}-cp311-abi3-linux_armv7l.whl")
    return build


def test_a_build_tells_of_the_index_that_has_its_wheel(client):
    version = make_version("1.0")
    for_all = make_stable(version, make_target("bookworm-armhf-cp311"), "")
    for_trixie = make_stable(version, make_target(), "-1")

    assert COMMAND.format("") in text(client.get(for_all.get_absolute_url()))
    assert COMMAND.format("/trixie") in text(client.get(for_trixie.get_absolute_url()))


def test_what_took_the_place_of_a_yanked_wheel_is_in_the_index_for_all(client):
    version = make_version("1.0")
    before = make_stable(version, make_target("bookworm-armhf-cp311"), "")
    anew = make_stable(version, make_target(), "-1")
    before.wheels.get().yank("It was spoiled.")

    assert COMMAND.format("") in text(client.get(anew.get_absolute_url()))
    assert "pip install" not in text(client.get(before.get_absolute_url()))
