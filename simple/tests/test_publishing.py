"""The published tree: what it holds is what the database says."""

import gzip
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from packages.models import Package
from simple import publishing, tree
from simple.models import Shown
from simple.tests.rows import make_package, make_wheel

pytestmark = pytest.mark.django_db

NOW = timezone.now()
PAGES = ["index.html", "index.html.gz", "index.v1_json", "index.v1_json.gz"]


def folder(name="demo", index="simple"):
    return tree.folder(index, name)


def entries(name="demo", index="simple"):
    try:
        return sorted(path.name for path in folder(name, index).iterdir())
    except FileNotFoundError:
        return []


def page(name="demo", index="simple"):
    return (folder(name, index) / "index.html").read_text()


def publish(after=timedelta(0)):
    return publishing.publish(NOW + after)


def test_a_package_gets_pages_and_links_to_its_files():
    wheel = make_wheel()

    publish()

    assert entries() == sorted([wheel.filename, f"{wheel.filename}.metadata", *PAGES])
    assert entries(index="simple-platform") == PAGES
    assert (folder() / wheel.filename).samefile(default_storage.path(wheel.path))
    assert (folder() / f"{wheel.filename}.metadata").samefile(default_storage.path(wheel.metadata_path))
    assert gzip.decompress((folder() / "index.html.gz").read_bytes()).decode() == page()


def test_what_is_noted_is_not_looked_at_again():
    make_wheel()
    assert publish() == 1

    assert publish() == 0
    assert not Package.objects.to_show().exists()


def test_packages_of_which_there_is_nothing_are_passed_over_in_bulk(django_assert_max_num_queries):
    for number in range(30):
        make_package(f"empty-{number}").mark_changed()
    publish()
    Package.objects.update(revision=7)

    with django_assert_max_num_queries(8):
        assert publish() == 30

    assert not Package.objects.to_show().exists()
    assert not Shown.objects.exists()
    assert not Path(tree.folder("simple")).exists()
