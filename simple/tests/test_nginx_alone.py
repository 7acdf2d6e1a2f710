"""What goes on when nginx and the published tree are all that is left."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest
import requests
from pypi_simple import PyPISimple

from simple.tests.conftest import publish_all
from simple.tests.pages import JSON, PIP
from simple.tests.rows import make_wheel
from simple.tests.test_files import content_of
from tests.farm import clean_environment
from tests.stack import NOWHERE, Nginx

pytestmark = pytest.mark.django_db

NOBODY = "127.0.0.1:9"
# `make checklist` has a thousand mirrored, which takes most of a minute.
MIRRORED = int(os.environ.get("MIRRORED_PROJECTS", "50"))


@pytest.fixture
def nginx(settings, tmp_path):
    """nginx before a web server that is down."""
    settings.PIWHEELS_PUBLIC = tmp_path / "public"
    with Nginx(tmp_path / "nginx", settings.PIWHEELS_PUBLIC, NOBODY, upstream=NOWHERE) as running:
        yield running


def ask(nginx, path, **headers):
    return requests.get(f"{nginx.url}{path}", headers=headers, timeout=30, allow_redirects=False)


def test_C06_every_page_and_file_is_served(nginx):
    wheels = [make_wheel(name) for name in ("demo", "other")]
    publish_all()

    for index in ("simple", "simple-platform"):
        names = {each["name"] for each in ask(nginx, f"/{index}/", Accept=JSON).json()["projects"]}
        assert names == {"demo", "other"}
        for wheel in wheels:
            [file] = ask(nginx, f"/{index}/{wheel.package.name}/", Accept=PIP).json()["files"]
            assert ask(nginx, file["url"]).content == content_of(wheel)


def test_C06_who_cannot_be_negotiated_with_gets_html_and_no_error(nginx):
    make_wheel()
    publish_all()

    answer = ask(nginx, "/simple/demo/", Accept="image/png")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "path", ["/simple/none/", "/simple/De.mo/", "/simple-platform/none/", "/trixie/simple/x/"]
)
def test_C06_what_is_not_known_is_404_so_that_uv_goes_on(nginx, path):
    assert ask(nginx, path, Accept=PIP).status_code == 404


def test_C06_a_page_of_the_full_index_that_is_not_ours_is_upstreams(nginx):
    answer = ask(nginx, "/simple-full/none/", Accept=PIP)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"{NOWHERE}none/")


@pytest.mark.parametrize(
    "path", ["/", "/project/demo/", "/project/simple/", "/simple/demo/none.whl", "/admin/"]
)
def test_the_rest_of_the_site_says_that_it_is_down(nginx, path):
    answer = ask(nginx, path)

    assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store")


@pytest.mark.parametrize("path", ["/check/", "/bundle/", "/api/v1/check", "/api/v1/bundles"])
def test_a_lock_file_comes_through_and_nothing_of_that_size_elsewhere(nginx, path):
    """Where one is asked for, the web server has the word; here it is down."""
    lock = b"x" * (4 << 20)

    assert requests.post(f"{nginx.url}{path}", data=lock, timeout=30).status_code == 503
    assert requests.post(f"{nginx.url}/project/demo/request", data=lock, timeout=30).status_code == 413


def test_notes_of_the_tree_are_nobodys(nginx, settings):
    make_wheel()
    publish_all()

    private = [path.name for path in settings.PIWHEELS_PUBLIC.iterdir() if path.name.startswith(".")]

    assert private
    for name in private:
        assert ask(nginx, f"/{name}").status_code == 503
        assert ask(nginx, f"/simple/{name}").status_code == 404


def test_who_takes_slowly_has_only_so_many_connections(nginx, settings):
    wheel = settings.PIWHEELS_PUBLIC / "simple" / "demo" / "demo-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"x" * (8 << 20))
    path = f"/simple/demo/{wheel.name}"
    with ExitStack() as connections:
        for _ in range(200):
            reader = connections.enter_context(socket.create_connection(("127.0.0.1", nginx.port)))
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: demo\r\n\r\n".encode())
            # It has begun, and no more of it is taken.
            assert reader.recv(12) == b"HTTP/1.1 200"

        refused = ask(nginx, path)
        neighbour = HTTPConnection("127.0.0.1", nginx.port, timeout=30, source_address=("127.0.0.2", 0))
        connections.callback(neighbour.close)
        neighbour.request("GET", path)
        served = neighbour.getresponse().read()

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert served == wheel.read_bytes()


def test_pip_installs_from_nginx_alone(nginx, tmp_path):
    make_wheel(tag="py3-none-any", requires_python=">=3.9")
    publish_all()

    words = ["install", "demo", "--target", str(tmp_path / "got"), "--no-cache-dir", "--no-compile"]
    index = ["--index-url", f"{nginx.url}/simple/"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, *index],
        env=clean_environment(tmp_path),
        check=True,
        timeout=120,
    )

    assert (tmp_path / "got" / "demo.py").exists()


def test_E10_a_mirror_reads_all_projects_and_all_their_files(nginx, tmp_path):
    names = [f"demo-{number}" for number in range(MIRRORED)]
    wheels = {wheel.filename: wheel for wheel in map(make_wheel, names)}
    publish_all()

    with PyPISimple(f"{nginx.url}/simple/") as mirror:
        mirrored = {}
        for name in mirror.get_index_page().projects:
            for package in mirror.get_project_page(name).packages:
                mirror.download_package(package, tmp_path / package.filename)
                assert mirror.get_package_metadata(package)
                mirrored[package.filename] = package.digests["sha256"]

    assert mirrored == {filename: wheel.sha256 for filename, wheel in wheels.items()}
