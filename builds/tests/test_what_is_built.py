"""What gets a build and what does not, as a table: each row is a sentence, what happened, and who gets one.

The farm builds for two releases, on two architectures, for two Pythons: eight targets.  Rows name them by
what they have in common: "armhf cp311" are both releases' targets of that kind.  Before and after everything
that happens a plan is made, so that each row also says what becomes of builds that wait.
"""

from datetime import timedelta
from itertools import product

import pytest

from builder.contract import CONTRACT, BuildReport
from builds import dispatch, results
from builds.attached import Attached
from builds.models import Build, Builder, Skip, Target, Wheel
from builds.planning import plan
from builds.tests.rows import NOON, make_builder, make_source, make_target, make_version, make_wheel
from packages.models import Package, UpstreamFile, Version

pytestmark = pytest.mark.django_db

LIBRARIES = {
    "bookworm": {"glibc": "2.36", "glibcxx": "3.4.30"},
    "trixie": {"glibc": "2.41", "glibcxx": "3.4.33"},
}
KEYS = ["-".join(parts) for parts in product(LIBRARIES, ("armhf", "arm64"), ("cp311", "cp313"))]
ONE, ALL_BUT_ONE = "trixie-armhf-cp313", "all but trixie armhf cp313"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def targets(said):
    """The targets of a phrase such as "armhf, arm64 cp311" or "all but trixie armhf cp313"."""
    wanted, _, without = said.partition(" but ")
    return {key for key in KEYS if _is_among(key, wanted) and not _is_among(key, without)}


def _is_among(key, said):
    kinds = [set(kind.split()) for kind in said.split(", ") if kind]
    return any(kind <= {"all", *key.split("-")} for kind in kinds)


def make_plan():
    package = Package.objects.get()
    package.request_plan()
    plan.plan(package, NOON)


def live_through(policy, happened):
    """Build for all targets by a policy, and let things happen to the package `demo`."""
    for key in KEYS:
        make_target(key, policy=policy, **LIBRARIES[key.split("-")[0]])
    Package.objects.create(name="demo", display_name="demo")
    make_plan()
    for happens in happened:
        happens()
        make_plan()


def row(sentence, *happened, gets, policy="gaps"):
    """A row about version 1.0, of which there is a source from the beginning."""
    return pytest.param(policy, [release(), *happened], gets, id=sentence)


# What may happen.


def release(number="1.0", **fields):
    return lambda: make_version(number, **fields)


def sdist(ending=".tar.gz", number="1.0", **fields):
    return lambda: make_source(Version.objects.get(number=number), ending, **fields)


def upstream(*tags, **fields):
    """Wheels appear upstream."""
    return lambda: [
        make_source(Version.objects.get(), f"-{each}.whl", kind="wheel", **fields) for each in tags
    ]


def files(**fields):
    """Something about all of upstream's files changes."""
    return lambda: UpstreamFile.objects.update(**fields)


def versions(**fields):
    return lambda: Version.objects.update(**fields)


def package(**fields):
    return lambda: Package.objects.update(**fields)


def source(requires_python):
    return lambda: UpstreamFile.objects.filter(kind="source").update(requires_python=requires_python)


def ours(tags, on=ONE, **fields):
    """Our build for a target ends with such a wheel."""

    def end():
        build = begin(on)
        make_wheel(build=build, filename=f"demo-1.0-{tags}.whl", published_at=NOON, **fields)
        build.close(Build.State.SUCCEEDED, "", NOON, duration_s=1.0)

    return end


def wheels(**fields):
    return lambda: Wheel.objects.update(**fields)


def fails(failure, on=ONE, times=1):
    """Our builds for some targets fail, as their builders report."""

    def report():
        for key in [key for key in KEYS if key == on or on == "all"] * times:
            told = {"reason": "It failed.", "duration_s": 1.0, "wheels": (), "failure": failure}
            report = BuildReport(contract=CONTRACT, succeeded=False, **told)
            results.close(begin(key), report, Attached(0, b"", None), NOON)

    return report


def is_lost(times):
    """The builders of a target fall silent in the middle of a build, one after the other."""

    def lose():
        for _ in range(times):
            dispatch.close_lost(begin(ONE).lease_until + MINUTE)

    return lose


def begin(key):
    """Let the builder of a target have the build that waits for it."""
    target = Target.objects.get(key=key)
    builder = Builder.objects.filter(target=target, size="small").first() or make_builder(f"pi-{key}", target)
    build = Build.objects.waiting().get(target=target)
    assert build.take(builder, build.version.files.filter(kind="source").first(), NOON)
    return Build.objects.get(pk=build.pk)


def skip(on=ONE):
    return lambda: Skip(package=Package.objects.get(), target=Target.objects.get(key=on), reason="no").begin()


def unskip():
    return lambda: Skip.objects.get().end()


def cancel(on=ONE):
    """An operator cancels the build that waits for a target."""
    return lambda: Build.objects.waiting().get(target__key=on).cancel("no", NOON)


def larger_builder():
    return lambda: make_builder("pi-large", Target.objects.get(key=ONE), size="large")


PORTABLE = {"is_portable": True, "glibc": "2.34"}

UPSTREAM = [
    row("a source and nothing else is built for all", gets="all"),
    row("a pure wheel serves all", upstream("py3-none-any"), gets="none"),
    row("so does one for both Pythons", upstream("py2.py3-none-any"), gets="none"),
    row("one for Python 2 serves nobody", upstream("py2-none-any"), gets="all"),
    row("one from a certain Python on serves newer ones", upstream("py312-none-any"), gets="cp311"),
    row(
        "a pure wheel serves no Python that it excludes",
        upstream("py3-none-any", requires_python=">=3.12"),
        gets="cp311",
    ),
    row("a yanked wheel serves nobody", upstream("py3-none-any", yanked=True), gets="all"),
    row(
        "manylinux serves its Python and architecture",
        upstream("cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64"),
        gets="all but arm64 cp313",
    ),
    row(
        "manylinux for a newer C library serves the release that has it",
        upstream("cp313-cp313-manylinux_2_39_aarch64"),
        gets="all but trixie arm64 cp313",
    ),
    row("manylinux for a C library of tomorrow", upstream("cp313-cp313-manylinux_2_42_aarch64"), gets="all"),
    row(
        "manylinux for the stable ABI serves newer Pythons",
        upstream("cp39-abi3-manylinux_2_17_aarch64"),
        gets="armhf",
    ),
    row(
        "and no older ones",
        upstream("cp312-abi3-manylinux_2_17_aarch64"),
        gets="all but arm64 cp313",
    ),
    row("free threads are another ABI", upstream("cp313-cp313t-manylinux_2_17_aarch64"), gets="all"),
    row("manylinux for armv7 leaves out a Pi Zero", upstream("py3-none-manylinux2014_armv7l"), gets="all"),
    row(
        "a pure wheel serves a Pi Zero beside it",
        upstream("cp313-cp313-manylinux2014_armv7l", "py3-none-any"),
        gets="none",
    ),
    row("musllinux is another C library", upstream("cp313-cp313-musllinux_1_2_aarch64"), gets="all"),
    row("linux says nothing of the system", upstream("cp313-cp313-linux_aarch64"), gets="all"),
    row(
        "macOS and Windows are no targets",
        upstream("cp313-cp313-macosx_11_0_universal2", "cp313-cp313-win_amd64", "cp313-cp313-win_arm64"),
        gets="all",
    ),
    row(
        "a wheel that goes away leaves a gap",
        upstream("py3-none-any"),
        lambda: UpstreamFile.objects.filter(kind="wheel").update(gone_at=NOON),
        gets="all",
    ),
    row(
        "an index of its own needs a pure wheel, too",
        upstream("py3-none-any"),
        policy="everything",
        gets="all",
    ),
    row(
        "an index of its own needs what manylinux serves",
        upstream("cp313-cp313-manylinux_2_17_aarch64"),
        policy="everything",
        gets="all",
    ),
]

OURS = [
    row("our pure wheel serves all", ours("py3-none-any"), gets="none"),
    row("and under `everything`", ours("py3-none-any"), policy="everything", gets="none"),
    row("ours for both Pythons serves all", ours("py2.py3-none-any"), gets="none"),
    row("ours for Python 2 serves nobody and is not tried again", ours("py2-none-any"), gets=ALL_BUT_ONE),
    row(
        "ours serves no Python that it excludes",
        ours("py3-none-any", requires_python=">=3.12"),
        gets="cp311",
    ),
    row("one that a person must look at first counts", ours("py3-none-any", held_reason=".pth"), gets="none"),
    row(
        "one that was withdrawn serves nobody and is not tried again",
        ours("py3-none-any"),
        wheels(withdrawn_at=NOON),
        gets=ALL_BUT_ONE,
    ),
    row(
        "machine code serves its own target",
        ours("cp313-cp313-linux_armv7l"),
        gets=ALL_BUT_ONE,
    ),
    row(
        "portable machine code serves its Python on the other release",
        ours("cp313-cp313-linux_armv7l", **PORTABLE),
        gets="all but armhf cp313",
    ),
    row(
        "the stable ABI serves newer Pythons of its release",
        ours("cp311-abi3-linux_armv7l", on="trixie-armhf-cp311"),
        gets="all but trixie armhf",
    ),
    row(
        "the stable ABI of a newer Python serves no older one",
        ours("cp313-abi3-linux_armv7l"),
        gets=ALL_BUT_ONE,
    ),
    row(
        "the stable ABI, portable, serves its architecture",
        ours("cp311-abi3-linux_armv7l", on="bookworm-armhf-cp311", **PORTABLE),
        gets="arm64",
    ),
    row(
        "and from the newer release if the older one has what it needs",
        ours("cp311-abi3-linux_armv7l", on="trixie-armhf-cp311", **PORTABLE),
        gets="arm64",
    ),
    row(
        "a C library that the older release has not",
        ours("cp311-abi3-linux_armv7l", on="trixie-armhf-cp311", is_portable=True, glibc="2.38"),
        gets="arm64, bookworm",
    ),
    row(
        "a C++ library that the older release has not",
        ours("cp311-abi3-linux_armv7l", on="trixie-armhf-cp311", glibcxx="3.4.32", **PORTABLE),
        gets="arm64, bookworm",
    ),
    row(
        "portable machine code for no Python in particular",
        ours("py3-none-linux_armv7l", **PORTABLE),
        gets="arm64",
    ),
    row(
        "the same, tied to a library of its release",
        ours("py3-none-linux_armv7l"),
        gets="all but trixie armhf",
    ),
    row(
        "wheels of who had the name before serve nobody",
        ours("py3-none-any"),
        package(registered_anew_at=NOON + DAY),
        gets=ALL_BUT_ONE,
    ),
]

SOURCES = [
    row("a Python that the source excludes gets none", source(">=3.12"), gets="cp313"),
    row("a source that excludes all is built for none", source(">=3.14"), gets="none"),
    row("what cannot be read excludes nobody", source("three"), gets="all"),
    row("a bound on the third number", source(">=3.11.4,<3.13"), gets="cp311"),
    row("a source that is gone", files(gone_at=NOON), gets="none"),
    row("a source that is back", files(gone_at=NOON), files(gone_at=None), gets="all"),
    row(
        "a source that comes for one that was removed",
        ours("py3-none-any"),
        files(gone_at=NOON),
        sdist(".zip"),
        gets="all",
    ),
    row(
        "one that comes for a broken one",
        fails("timeout", on="all"),
        files(gone_at=NOON),
        sdist(".zip"),
        gets="all",
    ),
    row("one that comes beside a broken one", fails("timeout", on="all"), sdist(".zip"), gets="none"),
    row(
        "one that comes where an operator cancelled what was made of the first",
        lambda: begin(ONE).cancel("no", NOON),
        files(gone_at=NOON),
        sdist(".zip"),
        gets=ALL_BUT_ONE,
    ),
    row("a yanked source", files(yanked=True), gets="none"),
    row("a yanked version", versions(yanked=True), gets="none"),
    row("one whose yank was taken back", versions(yanked=True), versions(yanked=False), gets="all"),
    row("a version that is gone", versions(gone_at=NOON), gets="none"),
    row("a version that pip cannot read", versions(number="2004d", canonical=""), gets="none"),
    row("a quarantined package", package(status="quarantined"), gets="none"),
    row("a package that was deleted", package(status="gone"), gets="none"),
    row("an archived package", package(status="archived"), gets="all"),
    row(
        "a package whose quarantine is over",
        package(status="quarantined"),
        package(status="active"),
        gets="all",
    ),
]

ATTEMPTS = [
    row("what failed on one target is not tried there again", fails("timeout"), gets=ALL_BUT_ONE),
    row("what failed on all is not tried again", fails("timeout", on="all"), gets="none"),
    row("a fault of the builder is tried again", fails("builder-fault"), gets="all"),
    row("three faults of builders are", fails("builder-fault", times=3), gets="all"),
    row("after the fourth a person must look", fails("builder-fault", times=4), gets=ALL_BUT_ONE),
    row("what was lost is tried again", is_lost(times=1), gets="all"),
    row("what was lost three times is", is_lost(times=3), gets="all"),
    row("what was lost a fourth time is not", is_lost(times=4), gets=ALL_BUT_ONE),
    row("out of memory where no builder is larger", fails("out-of-memory"), gets=ALL_BUT_ONE),
    row("out of memory where one is larger", larger_builder(), fails("out-of-memory"), gets="all"),
    row("a source that nobody could find is final", fails("no-source"), gets=ALL_BUT_ONE),
    row("unless it is new", files(uploaded_at=NOON - MINUTE), fails("no-source"), gets="all"),
    row("what an operator cancelled stays so", cancel(), gets=ALL_BUT_ONE),
    row(
        "a failure waits for no other's success", fails("timeout"), ours("py3-none-any", KEYS[0]), gets="none"
    ),
]

SKIPS = [
    row("a skipped package", package(skip_reason="It is too big."), gets="none"),
    row("one that is no longer", package(skip_reason="no"), package(skip_reason=""), gets="all"),
    row("a skipped version", versions(skip_reason="It is broken."), gets="none"),
    row("one that is no longer skipped", versions(skip_reason="no"), versions(skip_reason=""), gets="all"),
    row("a package that is skipped for one target", skip(), gets=ALL_BUT_ONE),
    row("one that is no longer skipped there", skip(), unskip(), gets="all"),
]


@pytest.mark.parametrize(("policy", "happened", "gets"), UPSTREAM + OURS + SOURCES + ATTEMPTS + SKIPS)
def test_a_version_is_built_for(policy, happened, gets):
    live_through(policy, happened)

    assert {build.target.key for build in Build.objects.open()} == targets(gets)


def history(sentence, *happened, gets):
    """A row about several versions, and for whom each is built."""
    return pytest.param(happened, gets, id=sentence)


def finals(*numbers, **fields):
    return lambda: [make_version(number, **fields) for number in numbers]


HISTORIES = [
    history("all of a history", finals("1.0", "2.0"), gets={"1.0": "all", "2.0": "all"}),
    history("a release without files", release(source=False), gets={}),
    history(
        "a source that comes days after the release",
        release(source=False),
        sdist(uploaded_at=NOON + 3 * DAY),
        gets={"1.0": "all"},
    ),
    history(
        "wheels that come first and serve all",
        release(source=False),
        upstream("py3-none-any"),
        sdist(uploaded_at=NOON + 3 * DAY),
        gets={},
    ),
    history(
        "wheels that come first and serve some",
        release(source=False),
        upstream("cp313-cp313-win_amd64", "cp313-cp313-manylinux_2_17_aarch64"),
        sdist(uploaded_at=NOON + 3 * DAY),
        gets={"1.0": "all but arm64 cp313"},
    ),
    history("a source that pip cannot unpack", release(source=False), sdist(".rpm"), sdist(".tlz"), gets={}),
    history("a zip will do", release(source=False), sdist(".zip"), gets={"1.0": "all"}),
    history("so will a kind that is rare", release(source=False), sdist(".tbz"), gets={"1.0": "all"}),
    history("and one that shouts", release(source=False), sdist(".TAR.XZ"), gets={"1.0": "all"}),
    history("a pre-release beside others", finals("1.0", "2.0rc1"), gets={"1.0": "all", "2.0rc1": "all"}),
    history("pre-releases alone", finals("1.0a1", "1.0b1"), gets={"1.0a1": "all", "1.0b1": "all"}),
    history("no nightly", finals("1.0", "2.0.dev20261124"), gets={"1.0": "all"}),
    history(
        "a pre-release with a limited depth", finals("1.0", "2.0rc1"), package(depth=1), gets={"1.0": "all"}
    ),
    history(
        "pre-releases alone with a limited depth",
        finals("1.0a1", "1.0b1"),
        package(depth=1),
        gets={"1.0b1": "all"},
    ),
    history(
        "the newest that each Python may have",
        finals("1.0", "2.0"),
        release("3.0", source=False),
        sdist(number="3.0", requires_python=">=3.12"),
        package(depth=1),
        gets={"3.0": "cp313", "2.0": "cp311"},
    ),
    history(
        "an old one that somebody asked for",
        finals("1.0", "2.0", "3.0"),
        package(depth=1),
        lambda: Version.objects.get(number="1.0").request(NOON),
        gets={"1.0": "all", "3.0": "all"},
    ),
    history(
        "when the newest is yanked, the one before is",
        finals("1.0", "2.0"),
        package(depth=1),
        lambda: Version.objects.filter(number="2.0").update(yanked=True),
        gets={"1.0": "all"},
    ),
    history(
        "the later one of equal versions",
        release("1.0", released_at=NOON - 2 * DAY),
        release("1.0.0", released_at=NOON - DAY),
        gets={"1.0.0": "all"},
    ),
    history(
        "a skip of the newest, with a limited depth",
        finals("1.0", "2.0"),
        package(depth=1),
        lambda: Version.objects.get(number="2.0").skip("It hangs."),
        gets={"1.0": "all"},
    ),
]


@pytest.mark.parametrize(("happened", "gets"), HISTORIES)
def test_of_a_history_is_built(happened, gets):
    live_through("gaps", happened)

    found = {(build.version.number, build.target.key) for build in Build.objects.open()}
    assert found == {(number, key) for number, said in gets.items() for key in targets(said)}
