import http.client
import json
import os
import subprocess
import sys

import pytest

from builder import proxy as proxies
from builder import upstream
from builder.account import Allowance
from builder.contract import Fetched
from builder.proxy import PackageProxy
from builder.tests.asking import QUICK, TINY, ask, connect, digest, listed
from builder.tests.package_index import JSON, PackageIndex, make_metadata, make_wheel


def pip(*arguments, home) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", *arguments),
            *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--retries", "0"),
        ],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PIP_CONFIG_FILE": os.devnull},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("speaks_json", [True, False])
def test_pip_downloads_through_the_proxy(tmp_path, speaks_json):
    content = make_wheel()
    with PackageIndex(json=speaks_json) as index, PackageProxy([index.simple], socket=None) as proxy:
        url = index.add(content)

        done = pip("download", "--index-url", proxy.indexes[0], "tiny", home=tmp_path)

        assert done.returncode == 0, done.stderr
        assert (tmp_path / "tiny-1.0-py3-none-any.whl").read_bytes() == content
        assert proxy.fetched == (Fetched("tiny-1.0-py3-none-any.whl", url, digest(content), len(content)),)
        assert not proxy.failed
        assert proxy.complaints == ()


def test_pip_reads_metadata_through_the_proxy(index, proxy, tmp_path):
    index.add(**{"core-metadata": {"sha256": digest(make_metadata())}})
    index.files["/files/tiny-1.0-py3-none-any.whl.metadata"] = make_metadata()

    done = pip("download", "--index-url", proxy.indexes[0], "tiny", home=tmp_path)

    assert done.returncode == 0, done.stderr
    assert index.paths() == [
        "/simple/tiny/",
        "/files/tiny-1.0-py3-none-any.whl.metadata",
        "/files/tiny-1.0-py3-none-any.whl",
    ]
    assert [file.filename for file in proxy.fetched] == ["tiny-1.0-py3-none-any.whl"]


def test_pip_chooses_among_all_indexes(index, tmp_path):
    with PackageIndex() as farm, PackageProxy([index.simple, farm.simple], socket=None) as proxy:
        index.add()
        url = farm.add(version="2.0")
        assert len(proxy.indexes) == 2

        first, second = proxy.indexes
        done = pip("download", "--index-url", first, "--extra-index-url", second, "tiny", home=tmp_path)

        assert done.returncode == 0, done.stderr
        assert [file.url for file in proxy.fetched] == [url]


def test_a_file_with_other_bytes_never_arrives(index, proxy, tmp_path):
    index.add(make_wheel(size=300_000), hashes={"sha256": "1" * 64})

    done = pip("download", "--index-url", proxy.indexes[0], "tiny", home=tmp_path)

    assert done.returncode != 0
    assert not (tmp_path / "tiny-1.0-py3-none-any.whl").exists()
    assert proxy.fetched == ()
    assert proxy.failed
    assert f"its page said {'1' * 64}." in proxy.complaints[0]


def test_a_file_without_a_length_arrives_and_is_noted_once(index, proxy):
    index.add(make_wheel(size=300_000), hashes={})
    index.chunked = True
    address = listed(proxy)[0]["url"]

    bodies = {ask(proxy, address)[1] for _ in range(2)}

    assert bodies == {make_wheel(size=300_000)}
    assert [file.sha256 for file in proxy.fetched] == [digest(make_wheel(size=300_000))]


def test_a_file_that_was_not_read_to_its_end_was_not_fetched(index, proxy):
    index.add(b"1" * 30_000_000, filename="tiny-1.0.zip")
    connection = connect(proxy)
    connection.request("GET", listed(proxy)[0]["url"])
    answer = connection.getresponse()
    answer.read(100_000)
    answer.close()
    connection.close()

    listed(proxy)

    assert proxy.fetched == ()
    assert not proxy.failed


def test_files_of_a_forgotten_page_are_found_again(index, proxy):
    index.add()
    address = listed(proxy)[0]["url"]

    with PackageProxy([index.simple], socket=None, **QUICK) as other:
        assert ask(other, address)[1] == make_wheel()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_build_gets_so_many_bytes(index, chunked):
    index.add(b"1" * 300_000, filename="tiny-1.0.zip")
    allowance = Allowance(total_bytes=500_000)
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        address = listed(proxy)[0]["url"]
        index.chunked = chunked
        assert ask(proxy, address)[0] == 200

        if chunked:
            with pytest.raises(http.client.IncompleteRead):
                ask(proxy, address)
        else:
            assert ask(proxy, address)[0] == 403
        assert proxy.complaints == ("The build fetched more than 500000 bytes.",)
        assert not proxy.failed


def test_what_is_read_to_find_files_counts_for_the_budget(index, monkeypatch):
    # Each page is forgotten for the other.
    monkeypatch.setattr(proxies, "_MOST_LISTED", 0)
    for name in ("tiny", "other"):
        index.add(b"1", name=name)
        index.raw[f"/simple/{name}/"] = (JSON, json.dumps({"files": index.pages[name]}).encode().ljust(1000))
    ways = [f"/0/files/{name}/{'0' * 16}/none.zip" for name in ("tiny", "other")]
    allowance = Allowance(total_bytes=3500)
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        answers = [ask(proxy, way)[0] for way in ways * 2]

        assert answers == [404, 404, 404, 403]
        assert proxy.complaints == ("The build fetched more than 3500 bytes.",)
        assert not proxy.failed


def test_a_page_counts_once(index):
    index.add()
    index.raw["/simple/tiny/"] = (JSON, json.dumps({"files": index.pages["tiny"]}).encode().ljust(1000))
    allowance = Allowance(total_bytes=3500)
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        assert [ask(proxy, TINY)[0] for _ in range(4)] == [200, 200, 200, 403]


def test_a_page_that_is_too_large_counts_as_far_as_it_was_read(index, monkeypatch):
    monkeypatch.setattr(upstream, "_LARGEST_PAGE", 100_000)
    index.raw["/simple/tiny/"] = (JSON, b" " * 200_000)
    allowance = Allowance(total_bytes=500_000)
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        assert [ask(proxy, TINY)[0] for _ in range(2)] == [502, 403]


def test_a_build_may_ask_so_many_times(index):
    index.add()
    allowance = Allowance(requests=3)
    with PackageProxy([index.simple], socket=None, allowance=allowance, **QUICK) as proxy:
        answers = [ask(proxy, TINY)[0] for _ in range(5)]

        assert answers == [200, 200, 200, 403, 403]
        assert proxy.complaints == ("The build made more than 3 requests.",)


def test_builds_share_a_file(index, tmp_path):
    url = index.add()
    for _ in range(3):
        with PackageProxy([index.simple], socket=None, cache=tmp_path / "cache", **QUICK) as proxy:
            assert ask(proxy, listed(proxy)[0]["url"])[1] == make_wheel()

            (file,) = proxy.fetched
            assert (file.url, file.sha256, file.size) == (url, digest(make_wheel()), len(make_wheel()))

    assert index.paths().count("/files/tiny-1.0-py3-none-any.whl") == 1


def test_a_file_that_changed_in_the_cache_is_fetched_again(index, tmp_path):
    index.add()
    for _ in range(2):
        with PackageProxy([index.simple], socket=None, cache=tmp_path / "cache", **QUICK) as proxy:
            assert ask(proxy, listed(proxy)[0]["url"])[1] == make_wheel()
        (tmp_path / "cache" / digest(make_wheel())).write_bytes(b"poison")

    assert index.paths().count("/files/tiny-1.0-py3-none-any.whl") == 2


def test_a_file_that_cannot_be_read_from_the_cache_is_fetched_again(index, tmp_path):
    index.add()
    (tmp_path / digest(make_wheel())).symlink_to("/proc/self/mem")
    for _ in range(2):
        with PackageProxy([index.simple], socket=None, cache=tmp_path, **QUICK) as proxy:
            assert ask(proxy, listed(proxy)[0]["url"])[1] == make_wheel()

    assert index.paths().count("/files/tiny-1.0-py3-none-any.whl") == 1


@pytest.mark.parametrize("hashes", [{}, {"sha256": "1" * 64}, {"sha256": "../../escaped"}])
def test_only_files_that_are_what_their_page_said_are_kept(index, tmp_path, hashes):
    index.add(make_wheel(size=300_000), hashes=hashes)
    with PackageProxy([index.simple], socket=None, cache=tmp_path / "cache", **QUICK) as proxy:
        try:
            ask(proxy, listed(proxy)[0]["url"])
        except http.client.IncompleteRead:
            assert hashes == {"sha256": "1" * 64}

    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_counts_for_the_budget(index, tmp_path):
    index.add(b"1" * 300_000, filename="tiny-1.0.zip")
    for _ in range(2):
        with PackageProxy(
            [index.simple], socket=None, cache=tmp_path, allowance=Allowance(total_bytes=500_000), **QUICK
        ) as proxy:
            address = listed(proxy)[0]["url"]

            assert [ask(proxy, address)[0] for _ in range(2)] == [200, 403]
