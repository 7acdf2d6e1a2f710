import pytest

from builds.wheels.caution import reason_to_hold

# As setuptools 60 and 78 wrote them.
OLD_NSPKG = (
    b"import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1)."
    b"f_locals['sitedir'], *('zope',));importlib = has_mfs and __import__('importlib.util');has_mfs and "
    b"__import__('importlib.machinery');m = has_mfs and sys.modules.setdefault('zope', importlib.util."
    b"module_from_spec(importlib.machinery.PathFinder.find_spec('zope', [os.path.dirname(p)])));m = m or "
    b"sys.modules.setdefault('zope', types.ModuleType('zope'));mp = (m or []) and m.__dict__.setdefault("
    b"'__path__',[]);(p not in mp) and mp.append(p)\n"
)
NEW_NSPKG = (
    b"import sys, types, os;p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('google', 'cloud'));"
    b"importlib = __import__('importlib.util');__import__('importlib.machinery');m = sys.modules.setdefault("
    b"'google.cloud', importlib.util.module_from_spec(importlib.machinery.PathFinder.find_spec("
    b"'google.cloud', [os.path.dirname(p)])));m = m or sys.modules.setdefault('google.cloud', "
    b"types.ModuleType('google.cloud'));mp = (m or []) and m.__dict__.setdefault('__path__',[]);"
    b"(p not in mp) and mp.append(p);m and setattr(sys.modules['google'], 'cloud', m)\n"
)


def held(*names, package="demo", requires=(), content=b"import evil\n") -> str:
    return reason_to_hold(package, names, requires, lambda name, limit: content)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("demo.pth", "demo.pth runs, or adds folders, at each start of Python."),
        ("demo-1.0.data/purelib/demo.pth", "demo.pth runs, or adds folders, at each start of Python."),
        ("sitecustomize.py", "sitecustomize runs at each start of Python."),
        ("usercustomize/__init__.py", "usercustomize runs at each start of Python."),
        ("json/__init__.py", "It has a module json, which is one of the standard library's."),
        ("demo-1.0.data/platlib/ssl.py", "It has a module ssl, which is one of the standard library's."),
        ("ssl.cpython-313-arm-linux-gnueabihf.so", "It has a module ssl, which is one of the standard"),
        ("pip/__init__.py", "It has a module pip, which is pip's."),
        ("pkg_resources/__init__.py", "It has a module pkg_resources, which is setuptools's."),
        ("demo-1.0.data/scripts/python3", "It installs a program python3."),
        ("demo-1.0.data/data/lib/python3.13/site-packages/a.py", "past the installer's back"),
        ("demo-1.0.data/data/lib/python3.13/json.py", "past the installer's back"),
        ("demo-1.0.data/data/bin/pip3", "It installs a program pip3."),
        ("demo-1.0.data/data/pyvenv.cfg", "pyvenv.cfg says which Python"),
        ("demo-1.0.data/data/pip.conf", "pip.conf says from where pip installs all else"),
    ],
)
def test_what_is_in_other_peoples_way_is_held(name, why):
    assert why in held("demo/__init__.py", name, "demo-1.0.dist-info/METADATA")


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("demo", ["demo/__init__.py", "demo/json.py", "demo/sitecustomize.py", "demo/x.pth", "demo.py"]),
        ("demo", ["demo-1.0.dist-info/METADATA", "demo-1.0.data/scripts/demo", "demo-1.0.data/data/etc/x"]),
        ("demo", ["demo-1.0.data/data/bin/demo", "demo-1.0.data/data/share/pip.conf", "demo/pyvenv.cfg"]),
        ("setuptools", ["distutils-precedence.pth", "pkg_resources/__init__.py", "_distutils_hack/a.py"]),
        ("pip", ["pip/__init__.py"]),
        # Backports have the name of what they bring; others follow what left the standard library.
        ("dataclasses", ["dataclasses.py"]),
        ("standard-imghdr", ["imghdr/__init__.py"]),
        ("demo", ["tests/__init__.py", "test/__init__.py"]),
    ],
)
def test_what_everybody_does_is_not_held(package, names):
    assert held(*names, package=package) == ""


@pytest.mark.parametrize("content", [OLD_NSPKG, NEW_NSPKG, OLD_NSPKG + NEW_NSPKG])
def test_the_namespaces_of_setuptools_are_not_held(content):
    names = ("zope/demo/__init__.py", "google/cloud/demo.py")

    assert held("demo-1.0-py3.11-nspkg.pth", *names, content=content) == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"../evil\n",
        OLD_NSPKG + b"import evil\n",
        OLD_NSPKG.replace(b"'importlib.util'", b"'evil'"),
        OLD_NSPKG.replace(b"'zope'", b"'zope' + evil()"),
        OLD_NSPKG.replace(b"'zope'", b'"zope;import evil"'),
        OLD_NSPKG.replace(b"'zope'", b"'zo\\x27pe'"),
        # Of another module, of another folder, of one that is not here, and beside the standard library.
        OLD_NSPKG.replace(b"ModuleType('zope')", b"ModuleType('pip')"),
        OLD_NSPKG.replace(b"'zope'", b"'ssl'"),
        OLD_NSPKG.replace(b"'zope'", b"'pip'"),
        OLD_NSPKG.replace(b"*('zope',)", b"*('zope', '..', 'evil')"),
        OLD_NSPKG.replace(b"*('zope',)", b"*('..', 'zope')"),
        OLD_NSPKG.replace(b"'zope'", b"'elsewhere'"),
        OLD_NSPKG.replace(b"'sitedir'", b"'known_paths'"),
        OLD_NSPKG.replace(b"'__path__'", b"'__name__'"),
        OLD_NSPKG + OLD_NSPKG.replace(b"'zope'", b"'ssl'"),
        OLD_NSPKG.replace(b"import sys, types, os;", b"") + OLD_NSPKG,
        NEW_NSPKG.replace(b"sys.modules['google']", b"sys.modules['os']"),
        NEW_NSPKG.replace(b"'cloud', m)", b"'path', m)"),
    ],
)
def test_what_only_looks_like_a_namespace_is_held(content):
    names = ("zope/demo.py", "google/cloud/demo.py", "ssl/a.py", "pip/a.py")

    assert "at each start of Python" in held("demo-1.0-py3.11-nspkg.pth", *names, content=content)


@pytest.mark.parametrize(
    "content",
    [
        b"[console_scripts]\npip = evil:main\n",
        b"[gui_scripts]\n\n  python3.13=evil:main\n",
        b"[ Console_Scripts ]\nPYTHON = evil:main\npip3: evil:main\n",
    ],
)
def test_a_program_with_the_name_of_pip_or_python_is_held(content):
    assert "It installs a program p" in held("demo-1.0.dist-info/entry_points.txt", content=content)


def test_programs_with_names_of_their_own_are_not_held():
    content = b"[console_scripts]\ndemo = demo:main\npip-demo = demo:pip\n[pip]\npip = demo:plugin\n"

    assert held("demo/a.py", "demo-1.0.dist-info/entry_points.txt", content=content) == ""
    assert (
        held("pip-1.0.dist-info/entry_points.txt", package="pip", content=b"[console_scripts]\npip = a:b")
        == ""
    )


def test_a_requirement_from_elsewhere_is_held():
    requires = ["six>=1", "evil @ https://example.org/evil.zip ; python_version > '3'"]

    assert held(requires=requires) == "It requires evil from https://example.org/evil.zip."


def test_all_reasons_are_given():
    assert held("sitecustomize.py", "demo.pth").count("start of Python") == 2


def test_a_file_at_start_of_more_lines_than_honest_ones_have_is_held():
    names = ("demo-1.0-py3.11-nspkg.pth", "zope/demo.py")

    assert held(*names, content=OLD_NSPKG * 64) == ""
    assert "at each start of Python" in held(*names, content=OLD_NSPKG * 65)


def test_of_very_many_files_at_start_none_is_read():
    def read(name, limit):
        raise AssertionError(name)

    names = [f"demo-{number:02}-nspkg.pth" for number in range(21)]

    reason = reason_to_hold("demo", [*names, "zope/demo.py"], (), read)

    assert reason == "21 files (demo-00-nspkg.pth, …) run, or add folders, at each start of Python."


def test_of_very_many_reasons_ten_are_told():
    names = "\n".join(f"python3.{number} = evil:main" for number in range(90_000))

    reason = held("demo-1.0.dist-info/entry_points.txt", content=f"[console_scripts]\n{names}".encode())

    assert reason.count("It installs a program") == 10
    assert reason.endswith("It installs a program python3.9. There is more of that kind.")


def test_a_reason_is_told_once():
    content = b"[console_scripts]\npip = a:b\n[gui_scripts]\npip = a:b\n"

    assert held("demo-1.0.dist-info/entry_points.txt", content=content) == "It installs a program pip."
