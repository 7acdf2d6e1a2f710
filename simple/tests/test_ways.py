"""What lock files tell of who needs what, each as its tool writes it."""

import pytest

from simple.requirements import CannotRead, read

PI = {
    "python_version": "3.13",
    "python_full_version": "3.13.5",
    "sys_platform": "linux",
    "platform_machine": "armv7l",
    "os_name": "posix",
}
WINDOWS = {**PI, "sys_platform": "win32"}

UV = """
version = 1
requires-python = ">=3.10"
resolution-markers = ["python_full_version >= '3.11'", "python_full_version < '3.11'"]
"""
PROJECT = """
[[package]]
name = "station"
version = "0.1"
source = { virtual = "." }
"""


def uv_entry(name, version="1.0", *lines):
    return "\n".join(
        [
            "[[package]]",
            f'name = "{name}"',
            f'version = "{version}"',
            'source = { registry = "x" }',
            *lines,
            "",
        ]
    )


def poetry(lock_version, *entries, files=""):
    return "\n".join(
        [*entries, "[metadata]", f'lock-version = "{lock_version}"', 'content-hash = "1"', "", files]
    )


def poetry_entry(name, version="1.0", *needs):
    return "\n".join(
        [
            "[[package]]",
            f'name = "{name}"',
            f'version = "{version}"',
            "",
            "[package.dependencies]",
            *needs,
            "",
        ]
    )


def asked(text, environment=PI):
    return [f"{each.name} {each.pinned}" for each in read(text).packages if each.applies(environment)]


def test_what_uv_locks_for_other_pythons_is_not_asked_for():
    text = UV + "".join(
        [
            uv_entry("numpy", "2.2.6", "resolution-markers = [\"python_full_version < '3.11'\"]"),
            uv_entry("numpy", "2.4.0", "resolution-markers = [\"python_full_version >= '3.11'\"]"),
            PROJECT,
            "dependencies = [",
            '{ name = "numpy", version = "2.2.6", marker = "python_full_version < \'3.11\'" },',
            '{ name = "numpy", version = "2.4.0", marker = "python_full_version >= \'3.11\'" },',
            "]",
        ]
    )

    assert asked(text) == ["numpy 2.4.0"]
    assert asked(text, {**PI, "python_full_version": "3.10.2"}) == ["numpy 2.2.6"]


def test_what_only_something_for_windows_needs_is_not_asked_for():
    text = UV + "".join(
        [
            uv_entry("pywin32"),
            uv_entry("lock", "1.0", 'dependencies = [{ name = "pywin32", marker = "os_name == \'posix\'" }]'),
            PROJECT,
            'dependencies = [{ name = "lock", marker = "sys_platform == \'win32\'" }]',
        ]
    )

    assert asked(text) == []
    assert asked(text, WINDOWS) == ["pywin32 1.0", "lock 1.0"]


def test_one_way_is_enough():
    text = UV + "".join(
        [
            uv_entry("a", "1.0", 'dependencies = [{ name = "c", marker = "sys_platform == \'win32\'" }]'),
            uv_entry("b", "1.0", 'dependencies = [{ name = "c", marker = "sys_platform == \'linux\'" }]'),
            uv_entry("c"),
            PROJECT,
            'dependencies = [{ name = "a" }, { name = "b" }]',
        ]
    )

    assert asked(text) == ["a 1.0", "b 1.0", "c 1.0"]


def test_an_extra_brings_what_it_needs_where_somebody_asks_for_it():
    brings = '[package.optional-dependencies]\ntoml = [{ name = "tomli" }]'
    needs = """dependencies = [{ name = "coverage", extra = ["toml"], marker = "sys_platform == 'win32'" },
        { name = "coverage" }]"""
    text = UV + uv_entry("coverage", "7.0", brings) + uv_entry("tomli") + PROJECT + needs

    assert asked(text) == ["coverage 7.0"]
    assert asked(text, WINDOWS) == ["coverage 7.0", "tomli 1.0"]


def test_extras_and_groups_of_the_project_itself_are_asked_for():
    more = """
[package.optional-dependencies]
fast = [{ name = "a" }]
[package.dev-dependencies]
dev = [{ name = "b" }]
"""

    assert asked(UV + uv_entry("a") + uv_entry("b") + PROJECT + more) == ["a 1.0", "b 1.0"]


def test_what_a_script_requires_is_asked_for():
    text = UV + "".join(
        [
            '[manifest]\nrequirements = [{ name = "a" }, { name = "b" }]\n',
            uv_entry("a", "1.0", 'dependencies = [{ name = "b", marker = "sys_platform == \'win32\'" }]'),
            uv_entry("b"),
        ]
    )

    assert asked(text) == ["a 1.0", "b 1.0"]


def test_one_of_two_indexes_is_meant():
    needs = """dependencies = [{ name = "torch", version = "2.0", source = { registry = "y" } },
        { name = "torch", version = "2.0", source = { registry = "x" }, marker = "os_name == 'nt'" }]"""
    files = 'sdist = { hash = "sha256:' + "a" * 64 + '" }'
    text = (
        UV
        + uv_entry("torch", "2.0", files)
        + uv_entry("torch", "2.0").replace('"x"', '"y"')
        + PROJECT
        + needs
    )

    [torch] = [each for each in read(text).packages if each.applies(PI)]
    assert not torch.hashes


def test_circles_end_and_what_nobody_needs_is_asked_for():
    circle = [uv_entry("a", "1.0", 'dependencies = [{ name = "b" }]')]
    circle.append(uv_entry("b", "1.0", 'dependencies = [{ name = "a" }]'))

    assert asked(UV + "".join(circle)) == ["a 1.0", "b 1.0"]
    assert asked(UV + "".join([*circle, PROJECT])) == ["a 1.0", "b 1.0"]


def test_a_marker_that_cannot_be_read_keeps_nobody_out():
    text = UV + uv_entry("a") + PROJECT + 'dependencies = [{ name = "a", marker = "what?" }]'

    assert asked(text) == ["a 1.0"]


@pytest.mark.parametrize("lock_version", ["1.1", "2.0"])
def test_poetry_told_markers_where_a_package_is_needed(lock_version):
    text = poetry(
        lock_version,
        poetry_entry("click", "8.0", 'Colorama = {version = "*", markers = "sys_platform == \'win32\'"}'),
        poetry_entry("colorama"),
        poetry_entry("numpy", "2.4.0"),
    )

    assert asked(text) == ["click 8.0", "numpy 2.4.0"]
    assert asked(text, WINDOWS) == ["click 8.0", "colorama 1.0", "numpy 2.4.0"]


def test_what_poetry_needs_of_several_versions_is_the_one_that_fits():
    needs = [
        '{version = ">=1,<2", markers = "python_version < \'3.8\'"}',
        '{version = ">=2", markers = "python_version >= \'3.8\'"}',
    ]
    text = poetry(
        "2.0",
        poetry_entry("a", "1.0", f"b = [{', '.join(needs)}]"),
        poetry_entry("b", "1.5"),
        poetry_entry("b", "2.5"),
    )

    assert asked(text) == ["a 1.0", "b 2.5"]


def test_what_poetry_locked_for_an_extra_is_asked_for_where_the_rest_holds():
    needs = [
        "tomli = {version = \"*\", markers = \"python_version < '3.11' and extra == 'toml'\"}",
        'socks = {version = "*", optional = true, markers = "extra == \'socks\'"}',
    ]
    text = poetry("1.1", poetry_entry("a", "1.0", *needs), poetry_entry("tomli"), poetry_entry("socks"))

    assert asked(text) == ["a 1.0", "socks 1.0"]


def test_poetry_had_its_files_apart():
    digest = "a" * 64
    files = f'[metadata.files]\n"My.Demo" = [{{file = "demo-1.0.tar.gz", hash = "sha256:{digest}"}}]'

    [demo] = read(poetry("1.1", poetry_entry("My.Demo"), files=files)).packages

    assert demo.hashes == {digest}


@pytest.mark.parametrize(
    "text",
    [
        UV + uv_entry("a") * 21,
        UV + uv_entry("a", "1.0", "dependencies = [" + '{ name = "a" },' * 20_001 + "]"),
        UV
        + uv_entry("a", "1.0", "dependencies = [" + '{ name = "a", marker = "%s" }' % ("x" * 200_001) + "]"),
        UV
        + uv_entry("a", "1.0", f"resolution-markers = {[f'python_version > {n!r}' for n in range(20_001)]}"),
    ],
)
def test_more_than_any_tool_writes_is_refused(text):
    with pytest.raises(CannotRead, match="more of which package needs which others"):
        read(text)


def test_a_marker_that_is_said_twenty_thousand_times_is_one():
    markers = ", ".join(["\"sys_platform == 'win32'\""] * 20_001)

    assert asked(UV + uv_entry("a", "1.0", f"resolution-markers = [{markers}]") + uv_entry("b")) == ["b 1.0"]


def test_a_version_that_is_longer_than_any_may_be_any():
    """To read it takes as long as it is, for each that needs one of its name."""
    entries = [poetry_entry(name, version) for name, version in (("x", "1.0"), ("x", f"1+{'a-' * 100}a"))]

    need = 'x = { version = ">9", markers = "sys_platform == \'win32\'" }'

    assert asked(poetry("2.0", *entries, poetry_entry("y", "1.0", need))) == ["x 1.0", "y 1.0"]
