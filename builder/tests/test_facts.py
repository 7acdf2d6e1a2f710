import platform
import sys

from builder.contract import BuilderFacts, decode, encode
from builder.facts import facts, made_with


def test_facts_are_what_the_contract_says(tmp_path):
    told = facts(tmp_path)

    assert decode(BuilderFacts, encode(told)) == told


def test_facts_are_of_this_machine(tmp_path):
    told = facts(tmp_path)

    assert told.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert told.memory_bytes > 64 << 20
    assert told.disk_free_bytes > 0
    assert told.model
    assert told.versions["celery"].startswith("5.")
    assert told.versions["kernel"] == platform.release()
    assert told.problems == ()


def test_asking_compilers_for_their_versions_leaves_nothing_at_home(tmp_path, monkeypatch):
    rustc = tmp_path / "bin" / "rustc"
    rustc.parent.mkdir()
    # As rustup's stand-in does.
    rustc.write_text('#!/bin/sh\nmkdir -p "$HOME/.rustup" && echo rustc 9.9\n')
    rustc.chmod(0o755)
    monkeypatch.setattr("builder.facts.PATH", f"{rustc.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{rustc.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert made_with()["kernel"].startswith("Linux ")
    assert not (tmp_path / ".rustup").exists()
