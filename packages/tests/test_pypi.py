import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
import requests
from packaging.specifiers import SpecifierSet

from packages import fetch
from packages.fetch import UpstreamTimeout
from packages.project import join
from packages.pypi import NoSuchProject, PyPI, UpstreamUnavailable
from tests.fake_pypi import UPLOADED_AT, FakePyPI


@pytest.fixture(params=["json", "html"])
def upstream(request):
    with FakePyPI(json=request.param == "json") as server:
        yield server


def versions(project):
    return {release.number: [file.filename for file in release.files] for release in project.versions}


def only_file(project):
    [release] = project.versions
    [file] = release.files
    return file


def test_a_project_has_its_versions_and_files(upstream, pypi):
    sdist = upstream.add_sdist("Demo.Pkg", "1.0", requires_python=">=3.9")
    upstream.add_wheel("Demo.Pkg", "2.0")

    project = pypi.project("demo_pkg")

    assert (project.name, project.display_name) == ("demo-pkg", "Demo.Pkg")
    assert (project.summary, project.status, project.serial) == ("Made for a test", "active", upstream.serial)
    assert versions(project) == {"1.0": ["demo_pkg-1.0.tar.gz"], "2.0": ["demo_pkg-2.0-py3-none-any.whl"]}
    file = project.versions[0].files[0]
    assert (file.kind, file.sha256, file.size) == ("source", sdist.sha256, len(sdist.content))
    assert (file.requires_python, file.uploaded_at) == (">=3.9", UPLOADED_AT)
    assert project.versions[1].files[0].kind == "wheel"
    assert requests.get(file.url, timeout=5).content == sdist.content


def test_we_say_who_we_are(upstream, pypi):
    upstream.add_sdist("demo", "1.0")

    pypi.project("demo")

    assert {request.path for request in upstream.requests} == {"/simple/demo/", "/pypi/demo/json"}
    assert all(request.headers["User-Agent"].startswith("piwheels/") for request in upstream.requests)


def test_an_unknown_project_is_none(pypi):
    with pytest.raises(NoSuchProject, match="nothing-here"):
        pypi.project("nothing-here")


def test_a_version_without_files_is_a_version(upstream, pypi):
    upstream.add_version("demo", "1.0")

    [release] = pypi.project("demo").versions

    assert (release.number, release.files, release.yanked, release.released_at) == ("1.0", (), False, None)


def test_versions_that_are_equal_stay_apart(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("demo", "1.0.0")

    assert versions(pypi.project("demo")) == {"1.0": ["demo-1.0.tar.gz"], "1.0.0": ["demo-1.0.0.tar.gz"]}


def test_a_files_version_is_the_one_that_upstream_says(upstream, pypi):
    upstream.add_sdist("demo", "1.0-beta", filename="demo-1.0-beta.tar.gz")
    upstream.add_sdist("demo", "2004d", filename="demo-2004d.tar.bz2")

    assert set(versions(pypi.project("demo"))) == {"1.0-beta", "2004d"}


def test_a_file_that_the_json_api_does_not_know_has_its_names_version(upstream, pypi):
    upstream.json_api = False
    upstream.add_sdist("demo", "1.0")
    upstream.add_wheel("demo", "1.1")
    upstream.add_sdist("demo", "x", filename="demo-2004d.tar.gz")
    upstream.add_sdist("demo", "x", filename="demo-1.0-1.tar.gz")

    project = pypi.project("demo")

    assert set(versions(project)) == {"1.0", "1.1"}
    assert (project.display_name, project.summary) == (None, None)


def test_kinds_that_we_do_not_use_are_left_out(upstream, pypi):
    upstream.add_file("demo", "1.0", "demo-1.0.win32.exe", "bdist_wininst")
    upstream.add_file("demo", "1.0", "demo-1.0-py2.7.egg", "bdist_egg")
    upstream.add_file("demo", "1.0", "demo-1.0.linux-x86_64.tar.gz", "bdist_dumb")
    upstream.add_file("demo", "1.0", "demo-1.0.tar.Z", "sdist")

    assert versions(pypi.project("demo")) == {"1.0": []}


@pytest.mark.parametrize("number, filename", [("v" * 201, "demo-1.tar.gz"), ("1.0", "d" * 250 + ".tar.gz")])
def test_what_is_too_long_to_keep_is_left_out(upstream, pypi, number, filename):
    upstream.add_sdist("demo", "0.1")
    upstream.add_sdist("demo", number, filename=filename)

    files = [name for names in versions(pypi.project("demo")).values() for name in names]

    assert files == ["demo-0.1.tar.gz"]


@pytest.mark.parametrize(
    "summary, kept",
    [
        (None, ""),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
        ("a\0b\n c\ud800", "a\ufffdb c?"),
    ],
)
def test_a_summary_is_made_to_fit(upstream, pypi, summary, kept):
    upstream.add_sdist("demo", "1.0")
    upstream.summarise("demo", summary)

    assert pypi.project("demo").summary == kept


@pytest.mark.parametrize("specifiers", [">=3.9", "<4,>=3.8", ">=3.6.*", "three", None])
def test_a_requires_python_can_be_read_or_is_absent(upstream, pypi, specifiers):
    upstream.add_sdist("demo", "1.0", requires_python=specifiers)

    kept = only_file(pypi.project("demo")).requires_python

    assert kept == (specifiers if specifiers in (">=3.9", "<4,>=3.8") else "")
    assert SpecifierSet(kept) is not None


def test_a_version_is_yanked_when_all_of_its_files_are(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    upstream.yank("demo", "1.0", "it <eats> data")
    upstream.add_sdist("demo", "2.0")
    upstream.yank("demo", "2.0", "half of it")
    upstream.add_wheel("demo", "2.0")
    upstream.add_sdist("demo", "3.0")
    upstream.yank("demo", "3.0")

    found = {r.number: (r.yanked, r.yanked_reason) for r in pypi.project("demo").versions}

    assert found == {"1.0": (True, "it <eats> data"), "2.0": (False, ""), "3.0": (True, "")}


def test_a_version_came_with_its_first_file(upstream, pypi):
    upstream.add_wheel("demo", "1.0", uploaded_at=UPLOADED_AT + timedelta(days=2))
    upstream.add_sdist("demo", "1.0", uploaded_at=UPLOADED_AT)

    [release] = pypi.project("demo").versions

    assert release.released_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_quarantined_project_has_a_reason_and_no_files(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    upstream.quarantine("demo", "malware?")

    project = pypi.project("demo")

    assert (project.status, project.status_reason, project.versions) == ("quarantined", "malware?", ())


def test_a_file_without_sha256_is_left_out(upstream, pypi, monkeypatch):
    upstream.json_api = False
    file = upstream.add_sdist("demo", "1.0")
    monkeypatch.setattr(type(file), "sha256", "")

    assert pypi.project("demo").versions == ()


def test_an_index_on_https_has_no_files_on_http(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    (page, _), facts = pypi._page("demo", ""), pypi._facts("demo")

    assert only_file(join("demo", page, facts, allow_http=True))
    assert join("demo", page, facts, allow_http=False).versions[0].files == ()


@pytest.mark.parametrize("path", ["/simple/demo/", "/pypi/demo/json"])
@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_an_error_says_nothing_about_the_project(upstream, pypi, path, status):
    upstream.add_sdist("demo", "1.0")
    upstream.fail(path, status)

    with pytest.raises(UpstreamUnavailable, match=str(status)):
        pypi.project("demo")

    assert pypi.project("demo").versions


def test_a_wish_for_a_pause_is_passed_on(upstream, pypi):
    upstream.fail("/simple/", 429, retry_after=17)

    with pytest.raises(UpstreamUnavailable) as raised:
        pypi.project("demo")

    assert raised.value.retry_after == 17


@pytest.mark.parametrize("path", ["/simple/demo/", "/pypi/demo/json"])
def test_half_an_answer_is_none(upstream, pypi, path):
    upstream.add_sdist("demo", "1.0")
    upstream.truncate(path)

    with pytest.raises(UpstreamUnavailable):
        pypi.project("demo")


@pytest.mark.parametrize("kept", [0, 60, 150])
def test_a_page_that_breaks_off_unnoticed_is_none_either(upstream, pypi, kept):
    upstream.add_sdist("demo", "1.0")
    upstream.garble("/simple/demo/", kept=kept)

    with pytest.raises(UpstreamUnavailable):
        pypi.project("demo")


def test_two_apis_that_disagree_are_not_believed(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    upstream.fail("/simple/demo/", 404)

    with pytest.raises(UpstreamUnavailable):
        pypi.project("demo")


def test_the_answer_is_as_old_as_its_older_half(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    upstream.go_stale("demo")
    old = upstream.serial
    upstream.add_sdist("demo", "2.0")

    assert pypi.project("demo").serial == old


def test_T58_too_large_an_answer_is_refused(upstream, pypi, monkeypatch):
    upstream.add_sdist("demo", "1.0")
    monkeypatch.setattr(fetch, "PAGE_BYTES", 100)

    with pytest.raises(UpstreamUnavailable, match="100 bytes"):
        pypi.project("demo")


def test_T58_too_slow_an_answer_is_refused(upstream, pypi, monkeypatch):
    upstream.add_sdist("demo", "1.0")
    upstream.delay("/simple/", 0.5)
    monkeypatch.setattr(fetch, "READ_S", 0.1)

    with pytest.raises(UpstreamUnavailable, match="timed out"):
        pypi.project("demo")


def test_an_answer_that_stops_half_way_is_a_timeout(monkeypatch):
    monkeypatch.setattr(fetch, "READ_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server, fetch.Session() as session:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<"
                )
                connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UpstreamTimeout, match="timed out"):
            PyPI(f"http://127.0.0.1:{server.getsockname()[1]}/simple/", session).project("demo")
        session.close()
        thread.join()


def test_nobody_listening_is_told_as_such():
    with FakePyPI() as server:
        url = server.simple_url

    with fetch.Session() as session, pytest.raises(UpstreamUnavailable):
        PyPI(url, session).project("demo")


def test_a_redirect_on_the_same_host_is_followed(upstream, pypi):
    upstream.add_sdist("demo", "1.0")
    upstream.redirect("/simple/demo/", "/simple/Demo/")

    assert versions(pypi.project("demo")) == {"1.0": ["demo-1.0.tar.gz"]}


@pytest.mark.parametrize("location", ["http://elsewhere.invalid/simple/demo/", "file:///etc/passwd"])
def test_T58_a_redirect_elsewhere_is_refused(upstream, pypi, location):
    upstream.redirect("/simple/demo/", location)

    with pytest.raises(UpstreamUnavailable, match="redirects to"):
        pypi.project("demo")


def test_an_answer_about_another_project_is_refused(upstream, pypi):
    upstream.add_sdist("other", "1.0")
    upstream.redirect("/pypi/demo/json", "/pypi/other/json")
    upstream.redirect("/simple/demo/", "/simple/other/")

    with pytest.raises(UpstreamUnavailable, match="about other"):
        pypi.project("demo")


def test_the_names_of_all_projects_are_canonical(upstream, pypi):
    for name in ("Demo.Pkg", "other", "x" * 201):
        upstream.add_project(name)
    upstream.quarantine("other")

    with pypi.listing() as listing:
        assert [name for name, _ in listing.entries] == ["demo-pkg"]


def test_a_list_of_names_that_ends_early_is_told_as_such(upstream, pypi):
    for number in range(20):
        upstream.add_project(f"demo{number}")
    upstream.truncate("/simple/", kept=700)

    with pytest.raises(UpstreamUnavailable), pypi.listing() as listing:
        list(listing.entries)


def test_the_list_of_all_projects_tells_serials_in_json(upstream, pypi):
    upstream.add_project("demo")

    with pypi.listing() as listing:
        serials = [serial for _, serial in listing.entries]

    assert (listing.has_serials, serials) == (upstream.json, [upstream.serial if upstream.json else None])
