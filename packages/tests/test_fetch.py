from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from packages import fetch

NOON = "Tue, 24 Nov 2026 12:00:00 GMT"


@pytest.fixture
def proxied(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "near.invalid")


def test_a_session_takes_the_proxy_that_leads_to_its_index(proxied):
    with fetch.Session(url="https://far.invalid/simple/") as session:
        assert session.manager.proxy.url == "http://proxy.invalid:3128"


def test_a_session_takes_no_proxy_to_an_index_that_needs_none(proxied):
    with fetch.Session(url="https://near.invalid/simple/") as session:
        assert session.manager.proxy is None


def test_a_session_believes_the_authorities_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/somewhere/ca.pem")

    with fetch.Session() as session:
        assert session.manager.connection_pool_kw["ca_certs"] == "/somewhere/ca.pem"


def test_a_session_believes_the_authorities_in_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))

    with fetch.Session() as session:
        assert session.manager.connection_pool_kw["ca_cert_dir"] == str(tmp_path)


@pytest.mark.parametrize("etag, kept", [('"abc"', '"abc"'), ("x" * 300, ""), ("\xe9", ""), ("a\nb", "")])
def test_an_etag_that_cannot_be_kept_is_none(etag, kept):
    class Response:
        headers = {"ETag": etag}

    assert fetch.etag_of(Response()) == kept


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("17", 17),
        ("9" * 30, 3600),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30),
        ("Tue, 24 Nov 2026 13:00:30 +0100", 30),
        ("Tue, 24 Nov 2026 12:00:30 -0000", 30),
        ("Wed, 25 Nov 2026 12:00:00 GMT", 3600),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 99 Nov 2026 12:00:00 GMT", None),
        ("Tue, 24 Nov 2026 12:00:00 +9999", None),
        ("soon", None),
        ("", None),
    ],
)
def test_how_long_upstream_wants_to_be_left_alone_is_read_as_a_number_or_a_date(said, seconds):
    class Response:
        headers = {"Retry-After": said, "Date": NOON}

    assert fetch.retry_after(Response()) == seconds


def test_a_date_is_measured_with_our_clock_where_upstream_does_not_say_what_its_own_shows():
    class Response:
        headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)}

    assert 1 <= (fetch.retry_after(Response()) or 0) <= 60
