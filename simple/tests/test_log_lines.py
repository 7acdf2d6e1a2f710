import json
import time
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simple.log_lines import MAX_LINE, Missed, Refusal, Served, is_download, read
from simple.tests.log_lines import PIP, UV, WHEEL, apache, nginx

DAY = date(2026, 11, 20)
DOWNLOAD = Served(DAY, 12, "demo", WHEEL.rpartition("/")[2], "192.0.2.1", PIP)


@pytest.mark.parametrize(
    "line", [nginx(), apache(), nginx().strip(), nginx(f"{WHEEL}?x=1"), b"\0\0" + nginx()]
)
def test_a_wheel_that_was_given_is_told(line):
    assert read(line) == DOWNLOAD


def test_an_address_is_decoded_as_the_server_did():
    uri = "/simple/demo/demo-1.0%2Bpi-py3-none-any.whl"

    assert [read(line).filename for line in (nginx(uri), apache(uri))] == ["demo-1.0+pi-py3-none-any.whl"] * 2


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2026-11-20T12:34:56Z", (DAY, 12)),
        ("2026-11-20T12:34:56.789+00:00", (DAY, 12)),
        ("2026-11-20T00:10:00+01:00", (date(2026, 11, 19), 23)),
        ("2026-11-20T20:10:00-05:30", (date(2026, 11, 21), 1)),
    ],
)
def test_days_and_hours_are_those_of_utc(time, told):
    served = read(nginx(time=time))

    assert (served.day, served.hour) == told


@pytest.mark.parametrize(
    ("method", "status", "range_header", "counts"),
    [
        ("GET", 200, "", True),
        ("GET", 200, "bytes=5-", True),
        ("GET", 206, "bytes=0-", True),
        ("GET", 206, "Bytes = 0-1023", True),
        ("GET", 206, "bytes=1-", False),
        ("GET", 206, "bytes=-500", False),
        ("GET", 206, "bytes=05-", False),
        ("GET", 206, "", False),
        ("GET", 302, "", True),
        ("GET", 302, "bytes=10-", False),
        ("GET", 304, "", False),
        ("GET", 404, "", False),
        ("GET", 416, "bytes=0-", False),
        ("HEAD", 200, "", False),
        ("POST", 200, "", False),
    ],
)
def test_only_the_beginning_of_a_file_is_a_download(method, status, range_header, counts):
    line = nginx(method=method, status=str(status), range=range_header)

    assert is_download(method, status, range_header, PIP) == counts
    assert isinstance(read(line), Served) == counts


@pytest.mark.parametrize(
    "uri", ["/simple/nothing-here/", "/simple-platform/nothing-here/", "/bookworm/simple/nothing-here/"]
)
def test_a_look_up_in_vain_by_an_installer_is_a_miss(uri):
    for agent in (PIP, UV, "poetry/1.8.3 CPython/3.12.1 Linux/6.1", "pdm/2.19.3 CPython/3.11.9"):
        assert read(nginx(uri, status="404", agent=agent)) == Missed(DAY, "nothing-here")
    assert read(apache(uri, status=404)) == Missed(DAY, "nothing-here")


def test_who_is_sent_to_upstream_looked_here_in_vain():
    assert read(nginx("/simple-full/nothing-here/", status="302")) == Missed(DAY, "nothing-here")
    assert read(nginx("/simple/nothing-here/", status="302")) is None
    assert read(nginx("/simple-full/nothing-here/", status="404")) is None


@pytest.mark.parametrize(
    "line",
    [
        nginx("/simple/x/", status="404", agent="Mozilla/5.0 (X11)"),
        nginx("/simple/x/", status="404", agent=""),
        nginx("/simple/X/", status="404"),
        nginx("/simple/x/", status="200"),
        nginx("/simple/x/", status="404", method="HEAD"),
        nginx("/simple/x/y/", status="404"),
        nginx("/x/", status="404"),
        nginx(agent="piwheels-builder (+https://wheels.example.org)"),
        nginx(f"{WHEEL}.metadata"),
        nginx("/simple/demo/../demo/x.whl"),
        nginx("/simple/demo/%00.whl"),
        nginx("/simple/demo/\ud800.whl"),
        nginx("/simple/demo/%FF.whl"),
        nginx("", status="400", method=""),
        apache("", status=408),
        b"\n",
        b"",
        b"\0\0\0\n",
    ],
)
def test_all_else_is_nothing_to_count(line):
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"x" * MAX_LINE, Refusal.TOO_LONG),
        (b"not a line\n", Refusal.MALFORMED),
        (nginx()[:100], Refusal.MALFORMED),
        (b"{" * 100_000, Refusal.MALFORMED),
        (b'{"time":' + b"[" * 100_000, Refusal.MALFORMED),
        (b'{"time":' + b"9" * 10_000 + b"}", Refusal.MALFORMED),
        (b"{}", Refusal.TYPES),
        (b'{"time":999}', Refusal.TYPES),
        (nginx(status=200), Refusal.TYPES),
        (nginx(uri=None), Refusal.TYPES),
        (nginx(agent=["pip"]), Refusal.TYPES),
        (nginx(time="yesterday"), Refusal.TIME),
        (nginx(time="2026-11-20T12:34:56"), Refusal.TIME),
        (nginx(time="0001-01-01T00:00:00+05:00"), Refusal.TIME),
        (apache().replace(b"20/Nov", b"32/Nov"), Refusal.MALFORMED),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(line, refusal):
    assert read(line) == refusal


def test_a_line_that_a_full_disk_cut_off_does_not_take_the_next_one_with_it():
    for cut in range(9, 600, 7):
        assert read(nginx(agent=UV)[:cut] + nginx()) == DOWNLOAD


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=50) | st.sampled_from(['","address":"', '"agent":"', "\\", '\\"', '"', "a" * 5000]))
def test_an_agent_is_read_as_it_was_sent_whatever_is_in_it(agent):
    served = read(nginx(agent=agent))

    assert (served.agent, served.address) == (agent[:2001], "192.0.2.1")


def test_of_what_is_far_too_long_no_more_is_kept_than_shows_that():
    for line in (
        nginx(agent="a" * 90_000, address="b" * 9_000),
        apache(agent="a" * 90_000, address="b" * 9_000),
    ):
        served = read(line)
        assert (len(served.agent), len(served.address)) == (2001, 255)


def test_bytes_that_are_no_text_are_read_as_what_stands_for_them():
    line = nginx(agent="pip/23.0.1 ?").replace(b"?", b"\xff\xfe")

    assert read(line).agent == "pip/23.0.1 \ufffd\ufffd"


FIELDS = st.sampled_from(["time", "method", "uri", "status", "agent", "address", "range"])
VALUES = (
    st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2) | st.text(max_size=40)
    | st.sampled_from([WHEEL, "/simple/x/", "404", "206", "9999-12-31T23:59:59-23:59", "GET", "bytes=0-"])
)  # fmt: skip


# A busy machine is slow to draw, which says nothing of what is drawn.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: text.encode())
    | st.dictionaries(FIELDS, VALUES).map(lambda fields: nginx(**fields))
    | st.builds(lambda line, at, byte: line[:at] + byte + line[at:],
                st.sampled_from([nginx(), apache()]), st.integers(0, 700), st.binary(min_size=1, max_size=4))
)  # fmt: skip
def test_no_line_whatsoever_raises(line):
    told = read(line)

    assert told is None or isinstance(told, Served | Missed | Refusal)


def test_a_line_of_the_longest_is_refused_or_read_at_once():
    began = time.process_time()

    for line in (
        nginx(agent="a" * 100_000),
        nginx("/" * 120_000),
        apache("%2F" * 40_000),
        apache(agent='\\"' * 50_000),
        b'"' * 130_000,
        b"[" * 130_000,
        json.dumps({"time": "x" * 100_000}).encode(),
    ):
        read(line)

    # What others do on a busy machine is no time of ours.
    assert time.process_time() - began < 10
