"""Who reads through nginx: slowly, through a cache, under a false name, or what is not for him."""

import hashlib
import itertools
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
import requests

from deploy.scratch import free_port
from tests import services, stack
from tests.faults.conftest import CALM
from tests.faults.with_bug import HASTE_S
from tests.quick_builders import LARGE, LARGE_PAYLOAD

pytestmark = [pytest.mark.whole, pytest.mark.faults]

READERS = 20
# A page is written within seconds, also on a machine that has a lot to do.
LISTED_S = 15.0
# Of the two ways out of the index: what may be malware goes at once, all else when nobody can have a page
# with it any more, for which this farm does not take a day.
STAYS_S = {"take_down": 0.0, "withdraw": HASTE_S}
HASTY = replace(CALM, bug="files_go_after_seconds")


@dataclass
class Sip:
    """Somebody who reads a file a little at a time, and the rest when somebody else says so."""

    address: str
    # What had come when the rest was asked for.
    sipped: int = 0

    def read(self, is_gone: threading.Event) -> str:
        """Return the sha256 of what came in the end."""
        came = hashlib.sha256()
        with requests.get(self.address, stream=True, timeout=60) as answer:
            assert answer.status_code == 200
            while not is_gone.wait(0.5):
                piece = answer.raw.read(8 << 10)
                self.sipped += len(piece)
                came.update(piece)
            for piece in iter(lambda: answer.raw.read(1 << 20), b""):
                came.update(piece)
        return came.hexdigest()


@pytest.mark.parametrize(("world", "kind"), [(HASTY, kind) for kind in STAYS_S], indirect=["world"])
def test_T46_downloads_that_have_begun_end_well_though_the_file_goes(world, kind):
    farm = world.farm
    for _ in range(2):
        world.release(LARGE)
    farm.wait_until(lambda: len(files(farm)) == 2 and not world.operators.ask("state")["builds"])
    # The first one stays, so that there is a page.
    filename, sha256 = max(files(farm).items())
    link = f"{farm.nginx.url}/simple/{LARGE}/{filename}"
    stored = [farm.var / "public" / "simple" / LARGE / filename]
    if kind == "take_down":
        stored += (farm.var / "files").rglob(filename)
        assert len(stored) == 2

    with ThreadPoolExecutor(READERS) as pool:
        is_gone, sips = threading.Event(), [Sip(link) for _ in range(READERS)]
        try:
            reading = [pool.submit(sip.read, is_gone) for sip in sips]
            farm.wait_until(lambda: all(sip.sipped for sip in sips))
            assert world.operators.ask("act", kind=kind, filename=filename)
            asked = time.monotonic()
            farm.wait_until(lambda: filename not in files(farm))
            unlisted = time.monotonic()
            while requests.head(link, timeout=5).ok:
                time.sleep(0.2)
            stayed_s = time.monotonic() - unlisted
            farm.wait_until(lambda: not any(path.exists() for path in stored))
        finally:
            is_gone.set()
        read = [each.result() for each in reading]

    assert unlisted - asked < LISTED_S
    # The page was gone a moment before we saw it.
    assert STAYS_S[kind] - 3 < stayed_s < STAYS_S[kind] + LISTED_S
    # What a kernel keeps for each, some megabytes, was not the rest of it.
    assert max(sip.sipped for sip in sips) < LARGE_PAYLOAD / 2
    assert read == [sha256] * READERS
    assert world.wrong() == []


def files(farm):
    """Return the hash of each file that the index lists of the large package."""
    accept = {"Accept": JSON}
    answer = requests.get(f"{farm.nginx.url}/simple/{LARGE}/", headers=accept, timeout=5)
    listed = answer.json()["files"] if answer.ok else []
    return {file["filename"]: file["hashes"]["sha256"] for file in listed}


_CACHE = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=all:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {behind};
            proxy_cache all;
            proxy_cache_valid 200 10m;
            proxy_ignore_headers Cache-Control;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
}}
"""
JSON, PEP_HTML, HTML = (
    "application/vnd.pypi.simple.v1+json",
    "application/vnd.pypi.simple.v1+html",
    "text/html",
)
# What may be asked for, and what must come.
ACCEPTS = {
    JSON: JSON,
    HTML: HTML,
    PEP_HTML: PEP_HTML,
    "*/*": HTML,
    "": HTML,
    f"{JSON}, {PEP_HTML}; q=0.1, {HTML}; q=0.01": JSON,
    f"{JSON}, {PEP_HTML};q=0.2, {HTML};q=0.01": JSON,
    f"{JSON}, */*;q=0.1": JSON,
    f"{HTML}, {JSON};q=0.5": HTML,
    f"{JSON};q=0.1, {HTML};q=0.9": HTML,
    f"{PEP_HTML}, */*;q=0.1": PEP_HTML,
    "application/vnd.pypi.simple.latest+json": JSON,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": HTML,
    "text/*": HTML,
    "application/*": JSON,
    f"{JSON};q=0, {HTML}": HTML,
    f"{HTML};q=0, {JSON}": JSON,
    "application/json;q=1, text/html;q=0.2": HTML,
    f"image/png, {JSON};q=0.3": JSON,
    f"{JSON} ; q=0.5 , {PEP_HTML} ; q=0.6": PEP_HTML,
}


@pytest.fixture
def cache(world, tmp_path_factory):
    """A cache in front of the farm that keeps all that it may, for as long as it likes."""
    with services.scratch() as folder:
        port = free_port()
        (folder / "nginx.conf").write_text(
            _CACHE.format(folder=folder, port=port, behind=world.farm.nginx.url)
        )
        folder.chmod(0o777)
        server = subprocess.Popen([str(stack.PROGRAM), "-p", folder, "-c", folder / "nginx.conf"])
        try:
            stack.wait_for_answer(server, f"http://127.0.0.1:{port}/simple/", folder / "error.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def test_T50_through_a_cache_everybody_gets_the_type_that_he_asked_for(world, cache):
    assert len(ACCEPTS) == 20
    hits = 0
    for _, (accept, expected) in itertools.product(range(3), ACCEPTS.items()):
        for path in ("/simple/", f"/simple/{world.names[0]}/"):
            answer = requests.get(f"{cache}{path}", headers={"Accept": accept}, timeout=10)
            assert answer.status_code == 200, accept
            assert answer.headers["Content-Type"].partition(";")[0] == expected, accept
            hits += answer.headers["X-Cache"] == "HIT"
    assert hits > 20


LIES = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-For": "192.0.2.1, evil.example",
    "X-Original-URL": "/admin/",
    "X-Rewrite-URL": "/admin/",
    "Forwarded": "host=evil.example;proto=https",
}


@pytest.mark.parametrize(
    "path", ["/", "/simple", "/project/kill0/", "/project/Kill0", "/faq.html", "/admin/"]
)
def test_T57_who_lies_about_the_host_is_refused_or_not_heard(world, path):
    address = f"{world.farm.nginx.url}{path}"

    honest = requests.get(address, allow_redirects=False, timeout=10)
    believed = requests.get(address, headers=LIES, allow_redirects=False, timeout=10)
    refused = requests.get(address, headers={"Host": "evil.example"}, allow_redirects=False, timeout=10)

    for answer in (believed, refused):
        assert answer.status_code < 500
        assert "evil.example" not in answer.headers.get("Location", "")
        assert "evil.example" not in answer.text
    # Nor is it taken to another page.
    assert believed.status_code == honest.status_code
    assert believed.headers.get("Location") == honest.headers.get("Location")
    assert refused.status_code in (301, 302, 400, 404)
