"""The audit of the locks, with pip-audit itself and a source of advisories that is ours."""

import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests import vulnerabilities

TODAY = datetime.now(UTC).date()
CANARY = {"requests": {"2.19.1": "PYSEC-2018-28"}}
HASH = "    --hash=sha256:" + "0" * 64


def advisory(name, known_as):
    affected = {
        "package": {"name": name, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
    }
    return {"id": known_as, "aliases": [f"CVE-of-{known_as}"], "summary": "A hole.", "affected": [affected]}


@contextmanager
def source(known):
    """A source in OSV's manner that knows of these: name -> version -> advisory."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            known_as = known.get(name, {}).get(asked["version"])
            body = json.dumps({"vulns": [advisory(name, known_as)]} if known_as else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.fixture
def locks(tmp_path):
    """Two locks, with two versions of a package for two Pythons; nothing is accepted."""
    (tmp_path / "run.txt").write_text(f"idna==3.1 \\\n{HASH}\n")
    forks = "".join(
        f"six==1.{n} ; python_full_version {sign} '3.12' \\\n{HASH}\n" for n, sign in ((1, "<"), (2, ">="))
    )
    (tmp_path / "dev.txt").write_text(f"idna==3.1 \\\n{HASH}\n{forks}")
    (tmp_path / "accepted.toml").write_text("")
    return tmp_path


@pytest.fixture
def run(locks, monkeypatch):
    """Run the audit of the locks against a source that knows of these."""

    def run(known, *words):
        with source(known) as address:
            monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
            monkeypatch.setenv("PIP_AUDIT_OSV_URL", address)
            return vulnerabilities.main(list(words), locks)

    return run


def finding(version="1.1"):
    vulns = [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}]
    [found] = vulnerabilities.findings(vulnerabilities.Pin("six", version), {"name": "six", "vulns": vulns})
    return found


def accept(locks, known_as):
    row = f'[[accepted]]\npackage = "six"\nid = "{known_as}"\nuntil = {TODAY}\nreason = "we never call it"\n'
    (locks / "accepted.toml").write_text(row)
    return vulnerabilities.accepted(locks)


def test_holes_are_found_also_in_versions_for_other_pythons(locks, run, capsys):
    accept(locks, "CVE-of-PYSEC-2")

    assert run({**CANARY, "six": {"1.1": "PYSEC-1", "1.2": "PYSEC-2"}}, "--offline-passes") == 1

    said = capsys.readouterr().out
    assert "VULNERABLE: six 1.1: PYSEC-1, CVE-of-PYSEC-1; mended in 9.9" in said
    assert "accepted: six 1.2: PYSEC-2" in said
    assert "3 pins audited: 1 vulnerable, 1 accepted" in said


def test_pins_that_nothing_is_known_against_are_clean(locks, run, capsys):
    (locks / "dev.txt").unlink()

    assert run(CANARY) == 0

    assert "1 pins audited: 0 vulnerable" in capsys.readouterr().out


def test_a_source_that_knows_no_advisory_at_all_is_not_believed(run, capsys):
    assert run({}) == vulnerabilities.NOT_AUDITED

    assert "it has none for requests 2.19.1" in capsys.readouterr().out


def test_a_source_that_cannot_be_reached_is_said(locks, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{port}/")

    assert vulnerabilities.main([], locks) == vulnerabilities.NOT_AUDITED
    assert vulnerabilities.main(["--offline-passes"], locks) == 0

    assert capsys.readouterr().out.count("THE DEPENDENCIES WERE NOT AUDITED") == 2


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_what_was_accepted_passes_until_its_day(locks, name):
    known = accept(locks, name)

    assert vulnerabilities.report([finding()], known, TODAY) == []
    assert vulnerabilities.report([finding()], known, TODAY + timedelta(days=1)) == [finding()]


def test_what_is_accepted_in_vain_is_said(locks, capsys):
    assert vulnerabilities.report([finding()], accept(locks, "PYSEC-9"), TODAY) == [finding()]

    assert "PYSEC-9 of six is over, or mended; remove it" in capsys.readouterr().out


def test_a_pin_that_the_index_lost_is_a_finding():
    pin = vulnerabilities.Pin("six", "1.1")

    [gone] = vulnerabilities.findings(pin, {"name": "six", "skip_reason": "Dependency not found"})

    assert str(gone) == "six 1.1: gone; the index does not know it; pin a version that it has"


def test_what_we_accept_is_readable():
    assert all(row.reason and row.until for row in vulnerabilities.accepted(vulnerabilities.REQUIREMENTS))
