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
    assert root.key("ab", "c") != root.key("a", "bc")
