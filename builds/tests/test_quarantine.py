from datetime import timedelta

import pytest

from builds.builders import quarantine
from builds.models import Build, Builder
from builds.tests.rows import NOON, make_build, make_builder, make_target, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

STATES = {"S": "succeeded", "F": "failed", "L": "lost", "N": "lost", "C": "cancelled"}
_minutes = iter(range(10_000))


def end(builder, letter, version=None):
    """Have a builder end a build: S, F, L as they are; N is lost and was never begun, C cancelled."""
    number = next(_minutes)
    at = NOON - timedelta(days=10) + timedelta(seconds=20 * number)
    return make_build(
        version or make_version(package=f"package-{number}"),
        builder.target,
        builder=builder,
        state=STATES[letter],
        attempt=1 if version is None else version.builds.count() + 1,
        queued_at=at - timedelta(seconds=9),
        claimed_at=None if letter == "N" else at - timedelta(seconds=5),
        finished_at=at,
    )


def look():
    """Look a moment after everything has happened."""
    return quarantine.quarantine_bad(last_end() + timedelta(seconds=30))


def last_end():
    return Build.objects.ended().first().finished_at


@pytest.mark.parametrize(
    ("own", "peers", "is_bad"),
    [
        ("FFFFF", "SSSSS", True),
        ("LLLLL", "SSSSS", True),
        ("NNNNN", "SSSSS", True),
        ("FLFNF", "SSSSFSSSS", True),
        ("SSSSSFFFFF", "SSSSSSSSSS", True),
        ("FFCFFCF", "SSSSS", True),
        ("FFFFFFFFF", "SSSSSSSSSSSSSSSSFFFF", True),
        # Not long enough, or not without a success.
        ("FFFF", "SSSSSSSS", False),
        ("FFFFS", "SSSSSSSS", False),
        ("FFFFFSFFFF", "SSSSSSSS", False),
        ("FFFFCCCC", "SSSSSSSS", False),
        # Peers that fare no better, or of whom too little is known.
        ("FFFFF", "FFFFF", False),
        ("FFFFF", "SSSFF", False),
        ("FFFFF", "SSSSSSSSSSSSSSSFFFFF", False),
        ("FFFFF", "SSSS", False),
        ("FFFFF", "", False),
    ],
)
def test_a_builder_is_taken_out_when_it_fails_and_its_peers_do_not(own, peers, is_bad):
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    # Both are at it for the same time.
    both = [(n / len(own), suspect, letter) for n, letter in enumerate(own)]
    both += [(n / len(peers), peer, letter) for n, letter in enumerate(peers)]
    for _, builder, letter in sorted(both, key=lambda each: each[0]):
        end(builder, letter)

    look()

    assert (Builder.objects.get(name="pi-07").mode == "quarantined") == is_bad
    assert Builder.objects.get(name="pi-08").mode == "active"


def test_thirty_versions_of_one_broken_package_take_nobody_out():
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    for number in range(30):
        end(suspect, "F", make_version(f"1.{number}"))
        end(peer, "S")

    assert look() == 0


def test_a_builder_that_fails_what_others_build_is_taken_out_whatever_else_fails():
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    failed = [end(suspect, "F") for _ in range(5)]
    for _ in range(20):
        end(peer, "F")
    for build in failed[:3]:
        end(peer, "S", build.version)

    assert look() == 1
    assert "others built 3 of these versions" in Builder.objects.get(name="pi-07").mode_reason


def test_peers_that_did_well_before_or_for_another_target_prove_nothing():
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    other = make_builder("pi-09", target=make_target("bookworm-armhf-cp311"))
    for _ in range(20):
        end(peer, "S")
    for _ in range(5):
        end(suspect, "F")
        end(other, "S")

    assert look() == 0


def test_what_others_built_for_another_target_says_nothing_of_a_builder():
    suspect = make_builder("pi-07")
    other = make_builder("pi-09", target=make_target("trixie-arm64-cp313"))
    for _ in range(5):
        end(other, "S", end(suspect, "F").version)

    assert look() == 0


def test_T38_its_failures_are_queued_again_once_and_its_operator_reads_why():
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    failed = [end(suspect, "F") for _ in range(5)]
    end(suspect, "L")
    for _ in range(6):
        end(peer, "S")
    Build.objects.filter(pk=failed[0].pk).update(attempt=1)
    failed[0].again(losses=0, priority=0, why="Somebody was faster.")

    assert (look(), look()) == (1, 0)

    again = Build.objects.filter(state="queued")
    assert {build.avoid_id for build in again.exclude(why="Somebody was faster.")} == {suspect.pk}
    assert again.exclude(version__package__plan_needed=True).count() == 0
    assert sorted(build.version_id for build in again) == sorted(build.version_id for build in failed)
    suspect.refresh_from_db()
    assert "Its last 6 builds failed or got lost, while 6 of the last 6" in suspect.mode_reason
    assert "4 are queued again" in suspect.mode_reason


def test_a_builder_that_was_resumed_is_forgiven():
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    for _ in range(5):
        end(suspect, "F")
        end(peer, "S")
    look()
    suspect.refresh_from_db()
    suspect.resume("Its disk is new.", last_end())

    assert look() == 0
    for _ in range(5):
        end(suspect, "F")
        end(peer, "S")
    assert look() == 1


def test_a_builder_whose_failures_are_old_is_not_looked_at():
    suspect, peer = make_builder("pi-07"), make_builder("pi-08")
    for _ in range(5):
        end(suspect, "F")
        end(peer, "S")

    assert quarantine.quarantine_bad(NOON) == 0
