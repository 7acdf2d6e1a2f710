from tests.arm import root


def test_pip_inside_gets_what_means_something_there(tmp_path, monkeypatch):
    ours = tmp_path / "pip.conf"
    ours.write_text("[global]\nindex-url = https://wheels.example.org/\nfind-links = /opt/wheels\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(ours))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///opt/index")

    configuration = root.pip_conf().splitlines()

    assert "index-url = https://wheels.example.org/" in configuration
    assert not any("find-links" in line or "file:" in line for line in configuration)


def test_another_content_is_another_key():
    assert root.key(b"ab", b"c") != root.key(b"a", b"bc")


def test_a_root_comes_back_as_it_was_kept_and_others_of_its_kind_go(tmp_path):
    old, other = root.tarball_of(tmp_path, "builder", b"1"), root.tarball_of(tmp_path, "base")
    for path in (old, other):
        path.touch()
    kept, made = (
        root.Root(tmp_path / "kept", tmp_path / "log"),
        root.Root(tmp_path / "made", tmp_path / "log"),
    )
    kept.write("/etc/motd", "hello")
    made.folder.mkdir()

    kept.pack(root.tarball_of(tmp_path, "builder", b"2"))
    made.unpack(root.tarball_of(tmp_path, "builder", b"2"))

    assert (made.folder / "etc/motd").read_text() == "hello"
    assert not old.exists()
    assert other.exists()
