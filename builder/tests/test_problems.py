import pytest

from builder.problems import EARLIEST, problems

GIB = 1 << 30
WELL = {
    "disk_bytes": 32 * GIB,
    "disk_free_bytes": 16 * GIB,
    "is_writable": True,
    "temperature_c": 60.0,
    "clock": EARLIEST.timestamp() + 1,
    "ending": False,
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"disk_free_bytes": 2 * GIB - 1}, "nearly full: 2047 MiB are free, 2048 MiB are needed"),
        ({"disk_bytes": 100 * GIB, "disk_free_bytes": 5 * GIB - 1}, "nearly full"),
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
        {"disk_free_bytes": 2 * GIB},
        {"disk_bytes": 100 * GIB, "disk_free_bytes": 5 * GIB},
        {"temperature_c": 84.9},
        {"temperature_c": None},
    ],
)
def test_a_machine_that_is_well_says_nothing(change):
    assert list(problems(**{**WELL, **change})) == []
