"""Real lock files of one project, without the index's host and some of the wheels, and odd ones."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from simple.requirements import MOST_BYTES, MOST_PACKAGES, CannotRead, asked_for, read

LOCKS = Path(__file__).parent / "locks"
# A file of pyserial 3.5.
SERIAL = "3c77e014170dfffbd816e6ffc205e9842efb10be9f58ec16d3e8675b4925cddb"


def packages(text):
    return {each.name: str(each.wanted) for each in read(text).packages}


@pytest.mark.parametrize(
    "kind", ["requirements.txt", "pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"]
)
def test_a_real_lock_file_says_what_it_says(kind):
    asked = read((LOCKS / kind).read_text())

    assert asked.kind == kind
    found = {each.name: each for each in asked.packages}
    assert {name: str(each.wanted) for name, each in found.items()} == {
        "colorama": "==0.4.6",
        "markupsafe": "==3.0.4",
        "pyserial": "==3.5",
    }
    assert asked.passed_over == ()
    assert SERIAL in found["pyserial"].hashes
    assert len(found["markupsafe"].hashes) > 10


@pytest.mark.parametrize(
    "kind", ["requirements.txt", "pylock.toml", "uv.lock", "pdm.lock", "poetry.lock", "Pipfile.lock"]
)
def test_what_is_for_windows_alone_is_not_asked_for_on_a_pi(kind):
    [colorama] = [each for each in read((LOCKS / kind).read_text()).packages if each.name == "colorama"]

    assert not colorama.applies({"sys_platform": "linux"})
    assert colorama.applies({"sys_platform": "win32"})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["demo; platform_machine == 'aarch64'"], [True]),
        (["demo==1; platform_machine == 'armv7l'", "demo==2; platform_machine == 'aarch64'"], [True, False]),
        (["demo==1; platform_machine != 'armv7l'", "demo==2; platform_machine != 'aarch64'"], [False, True]),
        (["demo>1", "demo[fast]; platform_machine == 'aarch64'"], [True, True]),
        (["demo>1", "demo[fast]; platform_machine == 'armv7l'"], [True, True]),
        (["demo; platform_machine == 'x86_64'"], [False]),
    ],
)
def test_what_any_environment_asks_for_counts_unless_the_first_asks_for_something_else(lines, expected):
    environments = [{"platform_machine": said} for said in ("armv7l", "aarch64")]

    assert asked_for(read("\n".join(lines)).packages, environments) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy", {"numpy": ""}),
        ("NumPy >= 2, < 3  # fast", {"numpy": "<3,>=2"}),
        ("numpy\r\nlxml[html]==5.0\n\n", {"numpy": "", "lxml": "==5.0"}),
        ("numpy==2.0 \\\n  --hash=sha256:" + "a" * 64, {"numpy": "==2.0"}),
        ("-i https://index.example/simple\n--extra-index-url x\n--pre\nnumpy", {"numpy": ""}),
        ("# nothing\nnumpy; python_version < '3.12'", {"numpy": ""}),
        ("\ufeffnumpy", {"numpy": ""}),
    ],
)
def test_lines_are_read_as_pip_reads_them(text, expected):
    assert packages(text) == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-r other.txt", "another file or folder"),
        ("-e .", "another file or folder"),
        ("--constraint=c.txt", "another file or folder"),
        ("demo @ https://host.example/demo.whl", "comes from an address"),
        ("./demo.whl", "./demo.whl: "),
        ("demo ==", "demo ==: "),
        ("<script>", "<script>: "),
        ("demo==" + "1" * 5_000, "longer than"),
        ("demo>=1.0,==" + "1" * 5_000, "longer than"),
        ("demo; " + "(" * 1_500 + "os_name == 'posix'" + ")" * 1_500, "recursion"),
    ],
)
def test_what_cannot_be_looked_up_is_said(line, why):
    asked = read(line)

    assert asked.packages == ()
    assert why in asked.passed_over[0]


def test_a_hash_may_be_of_another_kind_or_nonsense():
    [demo] = read(f"demo==1 --hash=md5:1 --hash=sha256:{'A' * 64} --hash sha256:x").packages

    assert demo.hashes == {"a" * 64}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "asks for nothing"),
        ("# nothing", "asks for nothing"),
        ("{", "cannot be read as JSON"),
        ("{}", "no Pipfile.lock"),
        ('{"default": ' + "[" * 100_000, "cannot be read as JSON"),
        ("[[package]]\nname =", "cannot be read"),
        ("lock-version = " + "[" * 100_000, "cannot be read"),
        ("lock-version = " + "1" * 5_000, "cannot be read"),
        ("lock-version = 1\n[" + "a." * 100 + "a]", "more dots"),
        ("x" * (MOST_BYTES + 1), "larger than"),
        ("\n".join(f"p{n}" for n in range(MOST_PACKAGES + 1)), "are the most"),
        ("-e .\n" * (MOST_PACKAGES + 1), "are the most"),
    ],
)
def test_what_is_no_such_file_says_why(text, says):
    with pytest.raises(CannotRead, match=says):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        'lock-version = "1.0"\npackages = 3\n[[x]]',
        'lock-version = "1.0"\n[[packages]]\nname = 3\nversion = []\nwheels = [3, {hashes = 3}]',
        '[[package]]\nname = "a"\nversion = {}\nsource = 3\n[metadata]\ncontent-hash = ""',
        '[[package]]\nname = "a"\nversion = "x y"\nsource = {registry = 1}\nsdist = []',
        '{"default": {"a": 3, "b": {"version": [], "hashes": {}, "markers": 3}}}',
    ],
)
def test_no_nonsense_of_the_right_form_is_an_error(text):
    with suppress(CannotRead):
        read(text)


@pytest.mark.parametrize("version", ["1" * 5_000, "1,==" + "1" * 5_000])
def test_a_version_that_python_cannot_count_is_said(version):
    asked = read(f'{{"default": {{"demo": {{"version": "=={version}"}}}}}}')

    assert asked.packages == ()
    assert "demo: it is longer" in asked.passed_over[0]


@pytest.mark.parametrize(
    "marker",
    [
        "os_name ~= 'x'",
        "'x' == 'x'",
        "'docs' in extras",
        "'dev' in dependency_groups",
        "python_version < '" + "1" * 2_000 + "' and os_name ~= 'x'",
    ],
)
def test_what_no_machine_fulfils_without_extras_or_cannot_tell_is_not_asked_for(marker):
    [demo] = read(f"demo; {marker}").packages

    assert not demo.applies({"sys_platform": "linux"})


# Each of them took minutes to hours, and kept all others waiting meanwhile.
@pytest.mark.parametrize(
    "text",
    [
        "'\\n' * 1_000_000 + 'x'",
        "'lock-version' + '\\n' * 1_000_000",
        "'lock-version = 1\\n' + 'a.' * 500_000 + 'a = 1'",
        "'lock-version = 1\\n[' + 'a.' * 5_000 + 'a]\\n' + ''.join(f'b{n} = 1\\n' for n in range(90_000))",
        "'demo ' + ','.join(['==1'] * 1_000_000)",
        "'demo\\n' * 800_000",
        # Each of many needs is compared with each of many entries, or has a marker of its own.
        """'version = 1\\n' + ''.join(f'[[package]]\\nname = "a"\\nversion = "{n}"\\n' for n in range(20))
        + 'dependencies = [' + '{name = "a", version = "x"},' * 140_000 + ']\\n'""",
        """'version = 1\\n[[package]]\\nname = "a"\\ndependencies = ['
        + ','.join(f'{{name = "a", marker = "os_name == \\'{n}\\'"}}' for n in range(90_000)) + ']\\n'""",
        """'[[package]]\\nname = "a"\\nversion = "1"\\n' * 20 + '[package.dependencies]\\na = ['
        + '">=1,<9,<8,<7,<6,<5,<4",' * 150_000
        + ']\\n[metadata]\\nlock-version = "1.1"\\ncontent-hash = "1"'""",
    ],
)
def test_no_text_takes_long(text):
    program = f"""
from contextlib import suppress
from simple.requirements import CannotRead, read
with suppress(CannotRead):
    [each.applies({{"sys_platform": "linux"}}) for each in read({text}).packages]
"""

    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
