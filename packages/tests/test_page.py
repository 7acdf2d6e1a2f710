import json

import pytest

from packages.page import read_json

URL = "http://127.0.0.1/simple/demo/"
FILE = {"filename": "demo-1.0.tar.gz", "url": "../../files/demo-1.0.tar.gz", "hashes": {"sha256": "0" * 64}}
PAGE = {"meta": {"api-version": "1.4", "_last-serial": 7}, "name": "demo", "files": [FILE]}


def read(page=PAGE, **changes):
    return read_json(json.dumps({**page, **changes}).encode(), URL, serial="5")


def file(**changes):
    return read(files=[{**FILE, **changes}]).files[0]


def test_a_page_says_least_where_nothing_more_is_said():
    page = read()

    assert (page.name, page.status, page.status_reason, page.serial) == ("demo", "active", None, 7)
    [found] = page.files
    assert (found.filename, found.url) == ("demo-1.0.tar.gz", "http://127.0.0.1/files/demo-1.0.tar.gz")
    assert (found.requires_python, found.size, found.uploaded_at, found.yanked) == (None, None, None, False)


def test_a_header_tells_the_serial_where_the_page_does_not():
    assert read(meta={"api-version": "1.0"}).serial == "5"


@pytest.mark.parametrize(
    "told, yanked, reason",
    [(True, True, ""), (False, False, ""), ("", True, ""), ("bad", True, "bad"), (None, False, "")],
)
def test_a_yank_may_have_a_reason(told, yanked, reason):
    found = file(yanked=told)

    assert (found.yanked, found.yanked_reason) == (yanked, reason)


@pytest.mark.parametrize("key", ["core-metadata", "dist-info-metadata"])
@pytest.mark.parametrize(
    "told, sha256", [({"sha256": "a" * 64}, "a" * 64), (True, ""), (False, ""), ({}, ""), ({"sha256": 1}, "")]
)
def test_the_hash_of_a_wheels_metadata_is_kept_where_it_is_told(key, told, sha256):
    assert file(**{key: told}).metadata_sha256 == sha256


def test_a_status_that_nobody_knows_hides_nothing():
    assert read(**{"project-status": {"status": "beloved", "reason": "x"}}).status == "active"
    assert read(**{"project-status": {"status": "archived"}}).status == "archived"
    assert read(**{"project-status": None}).status == "active"


def test_an_address_may_be_a_whole_one():
    assert file(url="https://files.invalid/x").url == "https://files.invalid/x"


@pytest.mark.parametrize(
    "changes",
    [
        {"meta": {"api-version": "2.0"}},
        {"meta": {}},
        {"meta": None},
        {"name": None},
        {"files": None},
        {"files": {}},
        {"files": ["demo-1.0.tar.gz"]},
        {"files": [{**FILE, "url": None}]},
        {"files": [{**FILE, "filename": 5}]},
        {"files": [{**FILE, "hashes": "0"}]},
        {"files": [{**FILE, "hashes": {"sha256": 0}}]},
        {"files": [{**FILE, "requires-python": 3}]},
        {"files": [{**FILE, "upload-time": "yesterday"}]},
        {"project-status": "active"},
    ],
)
def test_what_makes_no_sense_is_no_page(changes):
    with pytest.raises(ValueError):
        read(**changes)
