import subprocess
import sys
import xmlrpc.client

import pytest
import requests

from tests.fake_pypi import FakePyPI
from tests.fake_pypi_pages import SIMPLE_JSON


@pytest.fixture
def upstream():
    with FakePyPI() as server:
        yield server


@pytest.mark.parametrize(
    "wanted, status, content",
    [
        ("", 200, b"0123456789"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=10-", 416, b""),
    ],
)
def test_a_part_of_a_file_can_be_had(upstream, wanted, status, content):
    upstream.add_sdist("demo", "1.0", b"0123456789")

    answer = requests.get(
        f"{upstream.url}/files/demo/demo-1.0.tar.gz", headers={"Range": wanted} if wanted else {}, timeout=5
    )

    assert (answer.status_code, answer.content) == (status, content)


def test_a_fault_happens_as_often_as_it_was_told_to(upstream):
    upstream.fail("/simple/", 503, times=2)

    codes = [requests.get(upstream.simple_url, timeout=60).status_code for _ in range(3)]

    assert codes == [503, 503, 200]
    assert upstream.paths() == ["/simple/"] * 3


def test_each_change_has_a_serial(upstream):
    serials = [upstream.serial]
    for change in (
        lambda: upstream.add_sdist("demo", "1.0"),
        lambda: upstream.yank("demo", "1.0"),
        lambda: upstream.unyank("demo", "1.0"),
        lambda: upstream.quarantine("demo"),
        lambda: upstream.remove("demo"),
    ):
        change()
        serials.append(upstream.serial)

    assert serials == sorted(set(serials))


def test_pip_installs_from_it(upstream, tmp_path):
    upstream.add_sdist("Demo.Pkg", "1.0")
    upstream.add_wheel("other", "2.0")

    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", upstream.simple_url),
            *("--target", tmp_path, "demo-pkg", "other"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    assert {"demo_pkg.py", "other.py"} <= {path.name for path in tmp_path.iterdir()}


def rows(upstream, since=0):
    return call(upstream, "changelog_since_serial", since)


def call(upstream, method, *arguments):
    answer = requests.post(
        f"{upstream.url}/pypi",
        xmlrpc.client.dumps(arguments, method),
        headers={"Content-Type": "text/xml"},
        timeout=60,
    )
    answer.raise_for_status()
    [result], _ = xmlrpc.client.loads(answer.content)
    return result


def page(upstream, name="demo", *, etag="", accept=SIMPLE_JSON, api="simple"):
    path = f"/simple/{name}/" if api == "simple" else f"/pypi/{name}/json"
    headers = {"Accept": accept} | ({"If-None-Match": etag} if etag else {})
    return requests.get(upstream.url + path, headers=headers, timeout=60)


def test_the_journal_says_what_happened_to_whom(upstream):
    upstream.add_sdist("Demo.Pkg", "1.0")
    upstream.add_wheel("demo-pkg", "1.0")
    upstream.yank("demo-pkg", "1.0")
    upstream.unyank("demo-pkg", "1.0")
    upstream.hide("demo-pkg", "1.0")
    upstream.show("demo-pkg", "1.0")
    upstream.remove("demo-pkg", "1.0", "demo_pkg-1.0.tar.gz")
    upstream.remove("demo-pkg", "1.0")
    upstream.quarantine("demo-pkg")
    upstream.set_status("demo-pkg", None)
    upstream.remove("demo-pkg")

    assert [(version, action) for _, version, _, action, _ in rows(upstream)] == [
        (None, "create"),
        (None, "add Owner alice"),
        ("1.0", "new release"),
        ("1.0", "add source file demo_pkg-1.0.tar.gz"),
        ("1.0", "add py3 file demo_pkg-1.0-py3-none-any.whl"),
        ("1.0", "yank release"),
        ("1.0", "unyank release"),
        ("1.0", "release quarantined"),
        ("1.0", "release quarantine cleared"),
        ("1.0", "remove file demo_pkg-1.0.tar.gz"),
        ("1.0", "remove release"),
        (None, "project quarantined"),
        (None, "project quarantine cleared"),
        (None, "remove project"),
    ]
    assert {name for name, *_ in rows(upstream)} <= {"demo-pkg", "Demo.Pkg"}


def test_the_journal_says_nothing_of_an_archive(upstream):
    upstream.add_sdist("demo", "1.0")
    before = upstream.serial

    upstream.set_status("demo", "archived", "use other")

    assert rows(upstream, before) == []
    assert page(upstream).json()["project-status"] == {"status": "archived", "reason": "use other"}


def test_the_journal_is_shown_after_a_serial_and_not_more_than_a_page_of_it(upstream):
    first, second, third = (upstream.write("demo", f"something {number}") for number in range(3))
    upstream.page_rows = 2

    assert [row[-1] for row in rows(upstream)] == [first, second]
    assert [row[-1] for row in rows(upstream, second)] == [third]
    assert call(upstream, "changelog_last_serial") == third


def test_serials_may_be_left_out_and_rows_come_twice(upstream):
    first = upstream.write("demo", "something")
    upstream.journal.skip(7)
    assert call(upstream, "changelog_last_serial") == first

    second = upstream.write("demo", "something else")
    upstream.journal.copies = 2

    assert second == first + 8
    assert [row[-1] for row in rows(upstream)] == [first, first, second, second]


def test_the_journals_clock_may_jump(upstream):
    upstream.write("demo", "something")
    upstream.journal.jump(-3600)
    upstream.write("demo", "something else")

    (_, _, first, _, _), (_, _, second, _, _) = rows(upstream)

    assert second == first - 3599


def test_each_line_about_a_project_raises_its_serial(upstream):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("other", "1.0")

    upstream.add_role("demo", "bob")

    assert call(upstream, "list_packages_with_serial") == {
        "demo": upstream.serial,
        "other": upstream.serial - 1,
    }
    assert page(upstream).json()["meta"]["_last-serial"] == upstream.serial


@pytest.mark.parametrize(
    "method, arguments, code",
    [("changelog_since_serial", ["7"], -32500), ("changelog_since_serial", [], -32500), ("x", [], -32601)],
)
def test_a_call_that_makes_no_sense_is_a_fault(upstream, method, arguments, code):
    with pytest.raises(xmlrpc.client.Fault) as caught:
        call(upstream, method, *arguments)

    assert caught.value.faultCode == code


def test_who_calls_too_often_gets_a_fault(upstream):
    upstream.limit_calls(30)

    with pytest.raises(xmlrpc.client.Fault, match=r"HTTPTooManyRequests.* 30 seconds") as caught:
        call(upstream, "changelog_last_serial")

    assert caught.value.faultCode == -32500
    assert call(upstream, "changelog_last_serial") == upstream.serial


def test_calls_may_be_refused(upstream):
    upstream.xmlrpc = False

    answer = requests.post(f"{upstream.url}/pypi", "", headers={"Content-Type": "text/xml"}, timeout=60)

    assert answer.status_code == 405


@pytest.mark.parametrize("accept", [SIMPLE_JSON, "text/html"])
@pytest.mark.parametrize("api", ["simple", "pypi"])
def test_a_page_that_did_not_change_is_not_sent_again(upstream, api, accept):
    upstream.add_sdist("demo", "1.0")
    etag = page(upstream, api=api, accept=accept).headers["ETag"]

    same = page(upstream, api=api, accept=accept, etag=etag)
    upstream.yank("demo", "1.0")
    other = page(upstream, api=api, accept=accept, etag=etag)

    assert (same.status_code, same.content, other.status_code) == (304, b"", 200)
    assert other.headers["ETag"] != etag


def test_there_may_be_no_etags(upstream):
    upstream.add_sdist("demo", "1.0")
    upstream.etags = False

    assert "ETag" not in page(upstream).headers


def test_a_cache_may_be_old_for_one_api_or_for_both(upstream):
    upstream.go_stale("demo", "simple")
    upstream.add_sdist("demo", "1.0")
    assert (page(upstream).status_code, page(upstream, api="pypi").status_code) == (404, 200)

    upstream.refresh("demo")
    upstream.go_stale("demo")
    old = upstream.serial
    upstream.add_sdist("demo", "2.0")

    assert page(upstream).json()["meta"]["_last-serial"] == old
    assert page(upstream, api="pypi").json()["last_serial"] == old


def test_the_root_may_be_old(upstream):
    upstream.add_project("demo")
    upstream.freeze_root()
    upstream.add_project("other")

    def names():
        answer = requests.get(upstream.simple_url, headers={"Accept": SIMPLE_JSON}, timeout=60).json()
        return [project["name"] for project in answer["projects"]]

    assert names() == ["demo"]
    upstream.thaw_root()
    assert names() == ["demo", "other"]


def test_the_root_lacks_what_is_in_quarantine(upstream):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("other", "1.0")

    upstream.quarantine("demo")

    assert "demo" not in requests.get(upstream.simple_url, timeout=60).text
    assert (page(upstream).json()["files"], page(upstream, api="pypi").status_code) == ([], 404)


def test_a_hidden_version_is_in_neither_api(upstream):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("demo", "2.0")

    upstream.hide("demo", "2.0")

    assert page(upstream).json()["versions"] == ["1.0"]
    assert list(page(upstream, api="pypi").json()["releases"]) == ["1.0"]


def test_a_project_may_be_there_at_every_second_look_only(upstream):
    upstream.add_sdist("demo", "1.0")
    upstream.flap("/simple/demo/", times=2)

    assert [page(upstream).status_code for _ in range(5)] == [404, 200, 404, 200, 200]


@pytest.mark.parametrize("status, headers", [(500, {}), (429, {"Retry-After": "17"})])
def test_a_status_may_come_with_a_wish_for_a_pause(upstream, status, headers):
    upstream.fail("/simple/", status, retry_after=int(headers["Retry-After"]) if headers else None)

    answer = page(upstream)

    assert answer.status_code == status
    assert headers.items() <= answer.headers.items()


def test_an_answer_may_end_early_and_say_so_or_not(upstream):
    upstream.add_sdist("demo", "1.0")
    upstream.truncate("/simple/demo/", kept=20)
    with pytest.raises(requests.RequestException):
        page(upstream)

    upstream.garble("/simple/demo/", kept=20)
    garbled = page(upstream)

    assert (garbled.status_code, len(garbled.content)) == (200, 20)
    assert len(page(upstream).content) > 20


def test_faults_can_be_switched_off(upstream):
    upstream.fail("/", 500, times=99)

    upstream.mend()

    assert requests.get(upstream.simple_url, timeout=60).status_code == 200


@pytest.mark.parametrize(
    "json, serials, told",
    [(True, True, (True, True)), (True, False, (False, False)), (False, True, (True, False))],
)
def test_an_index_may_have_no_json_and_tell_no_serials(upstream, json, serials, told):
    upstream.json, upstream.serials = json, serials
    upstream.add_sdist("demo", "1.0")

    answer = page(upstream)

    is_json = answer.headers["Content-Type"] == SIMPLE_JSON
    assert is_json == json
    assert ("X-PyPI-Last-Serial" in answer.headers, is_json and "_last-serial" in answer.text) == told
