"""Cargo's registry through the package proxy: what may be asked, what is promised, and a real Cargo."""

import gzip
import http.client
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.account import Allowance
from builder.contract import Fetched
from builder.crates import prefix_of
from builder.pip_wheel import _CARGO
from builder.proxy import PackageProxy
from builder.tests.asking import QUICK, ask, digest
from builder.tests.package_index import PackageIndex

LIBRARY = "pub fn answer() -> u32 { 42 }\n"


def make_crate(name="knot", version="1.0.0") -> bytes:
    """Return a crate that Cargo builds."""
    files = {
        "Cargo.toml": f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2018"\n',
        "src/lib.rs": LIBRARY,
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(archive.getvalue(), mtime=0)


class Registry(PackageIndex):
    """A registry; `publish` puts a crate into its index and among its files."""

    @property
    def sparse(self) -> str:
        return self.simple.removesuffix("simple/") + "registry/"

    def publish(self, name="knot", version="1.0.0", *, cksum="", form="") -> bytes:
        content = make_crate(name, version)
        base = self.simple.removesuffix("/simple/")
        line = {"name": name, "vers": version, "deps": [], "cksum": cksum or digest(content)}
        line |= {"features": {}, "yanked": False}
        self.raw["/registry/config.json"] = ("", json.dumps({"dl": form or f"{base}/dl"}).encode())
        self.raw[f"/registry/{prefix_of(name)}/{name}"] = ("", json.dumps(line).encode() + b"\n")
        self.raw[f"/dl/{name}/{version}/download"] = ("application/gzip", content)
        self.raw[f"/short/{name}-{version}.crate"] = ("application/gzip", content)
        return content


@pytest.fixture
def registry():
    with Registry() as registry:
        registry.publish()
        yield registry


@pytest.fixture
def proxy(registry, tmp_path):
    with PackageProxy(
        [registry.simple], socket=None, crates=registry.sparse, cache=tmp_path / "cache", **QUICK
    ) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("crate", "prefix"), [("a", "1"), ("ab", "2"), ("abc", "3/a"), ("serde", "se/rd"), ("abcd", "ab/cd")]
)
def test_a_crate_has_its_place_in_the_index(crate, prefix):
    assert prefix_of(crate) == prefix


def test_a_build_gets_the_index_and_the_crates_that_it_lists(registry, proxy):
    config = json.loads(ask(proxy, "/crates/index/config.json")[1])
    entry = json.loads(ask(proxy, "/crates/index/kn/ot/knot")[1])
    crate = ask(proxy, "/crates/files/knot/1.0.0")[1]

    assert config["dl"].startswith("http://127.0.0.1:")
    assert config["dl"].endswith("/crates/files/{crate}/{version}")
    assert entry["cksum"] == digest(crate)
    assert crate == make_crate()
    url = f"{registry.simple.removesuffix('/simple/')}/dl/knot/1.0.0/download"
    assert proxy.fetched == (Fetched("knot-1.0.0.crate", url, digest(crate), len(crate)),)


def test_a_crate_that_was_fetched_before_comes_from_the_cache(registry, proxy):
    ask(proxy, "/crates/files/knot/1.0.0")
    del registry.raw["/dl/knot/1.0.0/download"]

    assert ask(proxy, "/crates/files/knot/1.0.0")[1] == make_crate()


def test_a_registry_says_in_its_own_form_where_crates_are(registry, proxy):
    base = registry.simple.removesuffix("/simple/")
    registry.publish(form=f"{base}/short/{{crate}}-{{version}}.crate")

    assert ask(proxy, "/crates/files/knot/1.0.0")[1] == make_crate()


def test_a_crate_with_other_bytes_than_the_index_promises_does_not_arrive(registry, proxy):
    registry.publish(cksum="1" * 64)

    # The connection is cut before the last block.
    with pytest.raises(http.client.IncompleteRead):
        ask(proxy, "/crates/files/knot/1.0.0")

    assert "The sha256 of" in proxy.complaints[0]
    assert proxy.failed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/crates/index/kn/ot/knots", 404),
        ("/crates/index/se/rd/knot", 404),
        ("/crates/index/no/ne/none", 404),
        ("/crates/files/knot/9.9.9", 404),
        ("/crates/files/none/1.0.0", 404),
        ("/crates/index/../../dl/knot", 403),
        ("/crates/api/v1/crates/new", 403),
        ("/crates/", 403),
    ],
)
def test_nothing_else_can_be_asked(proxy, path, status):
    assert ask(proxy, path)[0] == status


@pytest.mark.parametrize("line", [b"nonsense", b"[]", b'{"name": 1, "vers": "1", "cksum": "x"}', b"\xff"])
def test_a_broken_index_is_the_registrys_fault(registry, proxy, line):
    registry.raw["/registry/kn/ot/knot"] = ("", line)

    assert ask(proxy, "/crates/index/kn/ot/knot")[0] == 502
    assert proxy.failed


def test_an_entry_that_is_larger_than_any_is_not_read(registry, proxy):
    path = "/registry/kn/ot/knot"
    line = json.loads(registry.raw[path][1])
    registry.raw[path] = ("", json.dumps({**line, "features": {"all": ["x" * (9 << 20)]}}).encode())

    assert ask(proxy, "/crates/index/kn/ot/knot")[0] == 502
    assert "is larger than 8388608 bytes" in proxy.complaints[0]


def test_no_more_entries_are_read_at_a_time_than_pages(registry, proxy):
    names = [f"knot{number}" for number in range(6)]
    for name in names:
        registry.publish(name)
    registry.pause_s = 0.2
    began = time.monotonic()

    with ThreadPoolExecutor(len(names)) as builds:
        answers = list(builds.map(lambda name: ask(proxy, f"/crates/index/kn/ot/{name}")[0], names))

    # Two at a time wait three times.
    assert answers == [200] * 6
    assert time.monotonic() - began >= 3 * registry.pause_s


def test_what_is_read_to_find_crates_counts_for_the_budget(registry):
    path = "/registry/kn/ot/knot"
    registry.raw[path] = ("", registry.raw[path][1].strip().ljust(1000))
    allowance = Allowance(total_bytes=3500)
    with PackageProxy(
        [registry.simple], socket=None, crates=registry.sparse, allowance=allowance, **QUICK
    ) as proxy:
        answers = [ask(proxy, "/crates/files/knot/9.9.9")[0] for _ in range(5)]

        assert answers == [404, 404, 404, 403, 403]
        assert not proxy.failed


@pytest.mark.parametrize("dl", ["file:///etc/passwd", "ftp://127.0.0.1/x", 7, None])
def test_a_registry_cannot_send_us_to_what_is_no_server(registry, proxy, dl):
    registry.raw["/registry/config.json"] = ("", json.dumps({"dl": dl}).encode())

    assert ask(proxy, "/crates/files/knot/1.0.0")[0] == 502


def test_without_a_registry_there_are_no_crates(registry):
    with PackageProxy([registry.simple], socket=None, **QUICK) as proxy:
        assert ask(proxy, "/crates/index/config.json")[0] == 403
        assert proxy.crates == ""


@pytest.fixture
def cargo(tmp_path):
    """A Cargo with a home of its own, where there is one that runs: rustup's stand-in alone does not."""
    home = tmp_path / "home"
    (home / ".cargo").mkdir(parents=True)
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "RUSTUP_HOME": rustup}

    def run(*words, cwd=tmp_path):
        return subprocess.run(
            ["cargo", *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    if shutil.which("cargo") is None or run("--version").returncode != 0:
        pytest.skip("needs Cargo")
    run.home = home
    return run


def test_a_real_cargo_builds_with_what_the_proxy_gives(registry, proxy, cargo, tmp_path):
    (cargo.home / ".cargo" / "config.toml").write_text(_CARGO.format(registry=proxy.crates))
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "Cargo.toml").write_text(
        '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2018"\n[dependencies]\nknot = "1"\n'
    )
    (project / "src" / "lib.rs").write_text("pub fn twice() -> u32 { 2 * knot::answer() }\n")

    done = cargo("build", cwd=project)

    assert done.returncode == 0, done.stderr
    assert [file.filename for file in proxy.fetched] == ["knot-1.0.0.crate"]
