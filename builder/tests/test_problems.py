import pytest

from builder.problems import EARLIEST, kept, problems

GIB = 1 << 30
MIB = 1 << 20
WELL = {
    "disk_bytes": 32 * GIB,
    "disk_free_bytes": 16 * GIB,
    "files": 2_000_000,
    "files_free": 1_900_000,
    "is_writable": True,
    "temperature_c": 60.0,
    "clock": EARLIEST.timestamp() + 1,
    "ending": False,
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"disk_free_bytes": 3 * GIB}, "nearly full: 3072 MiB are free, 3686 MiB are needed"),
        ({"disk_bytes": 100 * GIB, "disk_free_bytes": 7 * GIB - 1}, "nearly full"),
        ({"disk_bytes": 4 * GIB, "disk_free_bytes": 2 * GIB - 1}, "nearly full: 2047 MiB are free, 2048"),
        (
            {"files_free": 249_999},
            "nearly all the files that it can have: 249999 more fit, 250000 are needed",
        ),
        ({"files": 100_000, "files_free": 34_999}, "34999 more fit, 35000 are needed"),
        ({"is_writable": False}, "cannot be written"),
        ({"temperature_c": 85.0}, "It is too hot: 85 °C"),
        ({"clock": 0.0}, "Its clock says 1970-01-01"),
        ({"ending": True}, "about to end"),
    ],
)
def test_a_machine_that_is_not_well_says_why(change, says):
    (problem,) = problems(**{**WELL, **change})

    assert says in problem


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"disk_free_bytes": 4 * GIB},
        {"disk_bytes": 100 * GIB, "disk_free_bytes": 7 * GIB},
        {"disk_bytes": 4 * GIB, "disk_free_bytes": 2 * GIB},
        {"files_free": 250_000},
        {"files": 262_144, "files_free": 250_000},
        # Of a file system that has no limit of them.
        {"files": 0, "files_free": 0},
        {"temperature_c": 84.9},
        {"temperature_c": None},
    ],
)
def test_a_machine_that_is_well_says_nothing(change):
    assert list(problems(**{**WELL, **change})) == []


@pytest.mark.parametrize("size", [8 * GIB, 16 * GIB, 40 * GIB, 100 * GIB, 1000 * GIB])
def test_whoever_takes_builds_has_two_gib_for_one_beside_what_it_keeps(size):
    is_enough = [
        free
        for free in range(0, size, 64 * MIB)
        if not list(problems(**{**WELL, "disk_bytes": size, "disk_free_bytes": free}))
    ]

    assert min(is_enough) - kept(size) >= 2 * GIB
