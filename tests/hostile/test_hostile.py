"""Every hostile and silly package goes through a real builder; what must be true of each is in its table.

`make test-hostile` builds all of them at all levels of the sandbox, the everyday tests some of them at one.
"""

import uuid
from contextlib import ExitStack

import pytest

from builder.contract import SANDBOX_LEVELS
from builder.tests.server import FakeServer
from tests.hostile.attempt import attempt, good_build
from tests.hostile.package import pack, sources
from tests.hostile.packages import PACKAGES
from tests.hostile.scene import Listeners, Scene, strongest

# The everyday tests build the quick ones at this level, which most machines have.
_EVERYDAY = "box"


def cases():
    """Each package at each level."""
    for level in SANDBOX_LEVELS:
        for name, package in PACKAGES.items():
            is_everyday = package.quick and level == _EVERYDAY
            marks = [pytest.mark.hostile, *([pytest.mark.everyday] if is_everyday else [])]
            yield pytest.param(name, level, id=f"{level}-{name}", marks=marks)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The builders, by their levels; each is started when its level is first asked for."""
    level_here, lacks = strongest(tmp_path_factory.mktemp("probe"))
    with ExitStack() as stack:
        made: dict[str, Scene] = {}

        def scene_at(level):
            if SANDBOX_LEVELS.index(level) > SANDBOX_LEVELS.index(level_here):
                pytest.skip(f"this machine has the level {level_here}: {'; '.join(lacks)}")
            if level not in made:
                listeners = stack.enter_context(Listeners(f"hostile-{uuid.uuid4().hex[:12]}"))
                server = stack.enter_context(FakeServer())
                folder = tmp_path_factory.mktemp(level)
                made[level] = stack.enter_context(Scene(level, folder, server, listeners))
            return made[level]

        yield scene_at, made


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "level"), list(cases()))
def test_T27_T30_T41_a_hostile_package_ends_as_it_should_and_harms_nobody(name, level, scenes, pytestconfig):
    package, scene = PACKAGES[name], scenes[0](level)
    end = package.end_at(level)
    is_promised = level != "bare" or not package.not_at_bare
    scene.prepare(good_build)
    builder = scene.builder.pid

    with attempt(scene, package.sdist(scene.facts()), package.filename, package.time_limit_s) as hostile:
        said = hostile.run(package.time_limit_s + end.within_s)
        problems = [] if said == "done" else [f"the builder says {said}"]
        problems += hostile.wrong_end(end)
        if is_promised:
            problems += hostile.gains(SANDBOX_LEVELS[: SANDBOX_LEVELS.index(level) + 1])
        elif package.gains_at_bare and not any(hostile.gains(SANDBOX_LEVELS)):
            # Then it is no sandbox that keeps it from that elsewhere.
            problems += ["it gains nothing without a sandbox either"]
    if level != "bare" or not package.leaves_processes_at_bare:
        problems += scene.survivors()
    problems += scene.leftovers()
    problems += [] if scene.builder.pid == builder else ["the builder is dead"]
    scene.repair()
    # The everyday tests ask that once for all of them, below.
    problems += scene.changes_of(good_build) if "hostile" in pytestconfig.option.markexpr else []

    assert not problems, "\n".join([*problems, "--- the log ends", hostile.kept_log[-4000:]])


@pytest.mark.django_db
def test_T29_after_all_of_them_an_honest_package_has_the_same_bytes_as_before(scenes):
    built_in = [scene for scene in scenes[1].values() if scene.good]
    if not built_in:
        pytest.skip("No hostile package was built before.")

    assert [change for scene in built_in for change in scene.changes_of(good_build)] == []


def test_a_hostile_source_is_made_of_the_same_bytes_each_time():
    scene = {"level": "full", "token": "hostile-0"}

    small = [package for package in PACKAGES.values() if package.time_limit_s <= 20]

    assert [package.sdist(scene) for package in small] == [package.sdist(scene) for package in small]
    assert pack(sources()) == pack(sources())


def test_there_are_as_many_as_the_promise_says():
    assert len(PACKAGES) >= 40
    assert 10 <= sum(package.quick for package in PACKAGES.values()) <= 20
