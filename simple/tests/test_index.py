import pytest
from django.utils import timezone

from builds.models import Build
from packages.models import Package
from simple.index import details, holdings, project_list
from simple.indexes import ALL, Indexes
from simple.tests.rows import make_package, make_version, make_wheel

pytestmark = pytest.mark.django_db


def project_detail(package, index=ALL, *, releases=(), full=False):
    """Return what an index says of a package."""
    [held] = holdings([package], with_upstream=full)
    return details(held, Indexes(releases=dict(releases), has_full=full)).get(index)


def filenames(package):
    detail = project_detail(package)
    return [file.filename for file in detail.files] if detail else None


def test_files_come_by_version_then_name():
    for number, tag in [
        ("1.10", "py3-none-any"),
        ("1.9", "py3-none-any"),
        ("1.9", "cp313-cp313-linux_armv7l"),
    ]:
        wheel = make_wheel(number=number, tag=tag)

    assert filenames(wheel.package) == [
        "demo-1.9-cp313-cp313-linux_armv7l.whl",
        "demo-1.9-py3-none-any.whl",
        "demo-1.10-py3-none-any.whl",
    ]


def test_the_wheels_of_a_version_that_is_gone_are_not_shown():
    gone = make_wheel()
    wheel = make_wheel(number="2.0")
    gone.version.gone_at = timezone.now()
    gone.version.save(update_fields=["gone_at"])

    detail = project_detail(wheel.package)

    assert detail is not None
    assert [file.filename for file in detail.files] == [wheel.filename]
    assert detail.versions == ("2.0",)


def test_a_package_all_of_whose_versions_are_gone_has_no_page():
    wheel = make_wheel()
    wheel.package.versions.update(gone_at=timezone.now())

    assert project_detail(wheel.package) is None
    assert list(project_list()) == []


def test_a_quarantined_package_keeps_its_empty_page_even_when_its_versions_are_gone():
    make_wheel()
    package = Package.objects.get()
    package.versions.update(gone_at=timezone.now())
    Package.objects.update(status="quarantined")
    package.refresh_from_db()

    assert filenames(package) == []
    assert [project.name for project in project_list()] == ["demo"]


def test_withdrawn_wheels_are_not_shown():
    make_wheel().withdraw(timezone.now())
    wheel = make_wheel(build_tag="-1")

    assert filenames(wheel.package) == [wheel.filename]


def test_versions_that_upstream_spells_differently_are_one():
    package = make_wheel(number="1.0").package
    make_version(package, "1.00")
    make_wheel(number="1.0", tag="py3-none-any")

    detail = project_detail(package)

    assert detail is not None
    assert detail.versions == ("1.0",)


def test_versions_that_are_equal_and_spelled_differently_in_names_are_both_listed():
    for number in ("1.0.0", "2.0", "1.0"):
        package = make_wheel(number=number).package
    make_wheel(number="1.0", tag="py3-none-any")

    detail = project_detail(package)

    assert detail is not None
    assert detail.versions == ("1.0", "1.0.0", "2.0")


def test_the_list_has_exactly_the_packages_that_have_a_page():
    for status in Package.Status:
        make_wheel(f"with-{status}")
        make_package(f"without-{status}", status=status)
        Package.objects.filter(name=f"with-{status}").update(status=status)

    listed = {project.name for project in project_list()}

    assert listed == {package.name for package in Package.objects.all() if project_detail(package)}
    assert listed == {"with-active", "with-archived", "with-deprecated", "with-quarantined"}


@pytest.mark.parametrize("path", ["/simple/demo/", "/simple/"])
def test_a_page_costs_two_queries_or_none_however_much_is_on_it(client, path):
    for number in ("1.0", "2.0", "3.0"):
        make_wheel(number=number)
        make_wheel("other", number=number)

    with client.costing(2):
        assert client.get(path).status_code == 200


def make_source(wheel, **fields):
    """Give a wheel the source that it was built from."""
    source = wheel.version.files.create(
        filename="demo-1.0.tar.gz", kind="source", url="https://files.invalid/x", sha256="0" * 64, **fields
    )
    Build.objects.filter(pk=wheel.build_id).update(source=source)
    return source


def test_a_wheel_is_shown_as_long_as_upstream_has_its_source():
    wheel = make_wheel()
    source = make_source(wheel)
    assert filenames(wheel.package) == [wheel.filename]

    source.gone_at = timezone.now()
    source.save()

    assert filenames(wheel.package) is None
    assert list(project_list()) == []


def test_what_was_built_before_a_name_was_registered_anew_stays_withdrawn():
    old = make_wheel()
    Package.objects.update(registered_anew_at=timezone.now(), generation=2)
    assert filenames(old.package) is None

    new = make_wheel(number="2.0")

    assert filenames(new.package) == [new.filename]


def test_an_operator_may_say_that_it_is_the_same_project_after_all():
    wheel = make_wheel()
    package = Package.objects.get()
    Package.objects.update(registered_anew_at=timezone.now())

    package.rejoin()

    assert filenames(wheel.package) == [wheel.filename]
