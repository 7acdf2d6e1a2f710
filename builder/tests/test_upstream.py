import http.client
import shutil
import subprocess
import threading
import time

import pytest

from builder import upstream
from builder.proxy import PackageProxy
from builder.tests.asking import QUICK, TINY, ask, connect, listed
from builder.tests.dripping import PLACES, dripping
from builder.tests.package_index import JSON, PackageIndex, make_wheel
from builder.tests.waiting import until


def test_upstream_sees_nothing_that_a_build_sent(index, proxy):
    index.add()
    sent = {
        "Authorization": "Basic c2VjcmV0",
        "Cookie": "secret=1",
        "Referer": "secret",
        "X-Secret": "secret",
    }
    (file,) = listed(proxy)

    ask(proxy, TINY, **sent, **{"User-Agent": "secret"})
    ask(proxy, file["url"], **sent, **{"User-Agent": "secret"})

    for _, headers in index.asked:
        assert "secret" not in str(headers).lower()
        assert "Cookie" not in headers
        assert headers["User-Agent"].startswith("piwheels-builder ")


def test_a_password_goes_to_its_index_and_nowhere_else(index):
    with PackageIndex() as other:
        address = index.simple.replace("http://", "http://user:p%40ss@")
        other.add()
        index.pages["tiny"] = [
            {**other.pages["tiny"][0], "url": f"{other.url}/files/tiny-1.0-py3-none-any.whl"}
        ]
        with PackageProxy([address], socket=None, **QUICK) as proxy:
            ask(proxy, listed(proxy)[0]["url"])

            assert index.asked[0][1]["Authorization"] == "Basic dXNlcjpwQHNz"
            assert "Authorization" not in other.asked[0][1]
            assert "user" not in repr(proxy.fetched)


def test_redirects_are_followed(index, proxy):
    index.add()
    index.locations["/simple/tiny/"] = "/simple/moved/"
    index.pages["moved"] = index.pages["tiny"]

    assert ask(proxy, listed(proxy)[0]["url"])[1] == make_wheel()


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/", "http://169.254.169.254/latest/", "http://[", "/simple/tiny/"],
)
def test_T58_redirects_lead_only_to_where_an_index_can_be(index, proxy, location):
    index.locations["/simple/tiny/"] = location

    assert ask(proxy, TINY)[0] == 502
    assert proxy.failed
    assert "redirects" in proxy.complaints[0]


@pytest.mark.parametrize("statuses", [[503, 500], [0, 429]])
def test_upstream_is_asked_again(index, proxy, statuses):
    index.add()
    index.statuses["/simple/tiny/"] = [*statuses]

    assert listed(proxy)
    assert not proxy.failed


@pytest.mark.parametrize("status", [0, 403, 429, 500, 503])
def test_upstream_that_stays_broken_is_told_from_a_packages_failure(index, proxy, status):
    index.add()
    index.statuses["/simple/tiny/"] = [status] * 3

    assert ask(proxy, TINY)[0] == 502
    assert proxy.failed
    assert f"{index.url}/simple/tiny/" in proxy.complaints[0]


def test_what_upstream_gave_in_the_end_is_no_failure(index, proxy):
    index.add()
    index.statuses["/simple/tiny/"] = [503] * 3
    ask(proxy, TINY)

    listed(proxy)

    assert not proxy.failed
    assert len(proxy.complaints) == 1


def test_upstream_that_hangs_is_given_up(index, proxy):
    # Longer than a client of these tests waits.
    index.pause_s = 60.0

    assert ask(proxy, TINY)[0] == 502
    assert proxy.failed


@pytest.mark.parametrize(("begin", "drop"), PLACES)
def test_upstream_that_gives_a_byte_now_and_then_is_given_up_at_once(monkeypatch, begin, drop):
    monkeypatch.setattr(upstream, "_PAGE_WAIT_S", 0.3)

    with dripping(begin, drop) as url, PackageProxy([url], socket=None, **QUICK) as proxy:
        assert ask(proxy, TINY)[0] == 502
        assert proxy.failed
        assert proxy.complaints == (f"{url}tiny/ takes more than 0 s.",)


def test_all_tries_together_wait_no_longer_than_a_page_is_waited_for(index, proxy, monkeypatch):
    monkeypatch.setattr(upstream, "_PAGE_WAIT_S", 0.7)
    index.pause_s = 60.0

    assert ask(proxy, TINY)[0] == 502
    assert proxy.complaints == (f"{index.simple}tiny/ takes more than 1 s.",)


@pytest.mark.parametrize(("begin", "drop"), PLACES)
def test_no_thread_waits_for_upstream_when_a_build_is_over(begin, drop):
    with dripping(begin, drop) as url:
        before = set(threading.enumerate())
        with PackageProxy([url], socket=None, **QUICK) as proxy:
            connection = connect(proxy)
            connection.request("GET", TINY)
            time.sleep(0.2)
        connection.close()

        # Upstream hears of it a little later.
        until(lambda: not set(threading.enumerate()) - before)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "nowhere.invalid"])
def test_upstream_that_is_not_there_has_failed(host):
    with PackageProxy([f"http://{host}/simple/"], socket=None, **QUICK) as proxy:
        assert ask(proxy, TINY)[0] == 502
        assert proxy.failed


def test_a_page_without_end_is_not_read(index, proxy, monkeypatch):
    monkeypatch.setattr(upstream, "_LARGEST_PAGE", 100_000)
    index.raw["/simple/tiny/"] = (JSON, b" " * 200_000)

    assert ask(proxy, TINY)[0] == 502
    assert "is larger than 100000 bytes" in proxy.complaints[0]


def test_a_key_in_an_address_is_not_shown(index, proxy):
    index.add(filename="tiny-1.0.zip", url="../../files/tiny-1.0.zip?key=secret")
    index.files["/files/tiny-1.0.zip?key=secret"] = make_wheel()

    assert ask(proxy, listed(proxy)[0]["url"])[0] == 200
    assert [file.url for file in proxy.fetched] == [f"{index.url}/files/tiny-1.0.zip"]


def test_a_file_that_upstream_cuts_is_cut(index, proxy):
    index.add(make_wheel(size=300_000))
    (file,) = listed(proxy)
    index.cut = True

    with pytest.raises(http.client.IncompleteRead):
        ask(proxy, file["url"])

    assert proxy.fetched == ()
    assert proxy.failed


def test_certificates_are_checked(index, tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    index.add()
    index.encrypt(certificate)

    with PackageProxy([index.simple], socket=None, **QUICK) as proxy:
        assert ask(proxy, TINY)[0] == 502
        assert "SSLError" in proxy.complaints[0]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    index.locations["/simple/other/"] = index.simple.replace("https:", "http:")
    with PackageProxy([index.simple], socket=None, **QUICK) as proxy:
        assert listed(proxy)
        # And there is no way down from https.
        assert ask(proxy, "/0/simple/other/")[0] == 502
        assert "redirects to where nothing is fetched from" in proxy.complaints[0]
