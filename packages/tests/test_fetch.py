import pytest

from packages import fetch


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
