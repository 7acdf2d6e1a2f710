import pytest

from builder.trial import modules_in


@pytest.mark.parametrize(
    ("names", "modules"),
    [
        (["six.py", "six-1.0.dist-info/METADATA"], ("six",)),
        (
            ["markupsafe/__init__.py", "markupsafe/_speedups.cpython-313-arm-linux-gnueabihf.so"],
            ("markupsafe",),
        ),
        (["_cffi_backend.cpython-313-arm-linux-gnueabihf.so", "cffi/__init__.py"], ("cffi", "_cffi_backend")),
        (
            ["google/cloud/storage/__init__.py", "google/cloud/storage/blob/__init__.py"],
            ("google.cloud.storage",),
        ),
        (["compiled/__init__.cpython-313-arm-linux-gnueabihf.so"], ("compiled",)),
        (["demo/__init__.py", "tests/__init__.py", "setup.py", "docs/__init__.py"], ("demo",)),
        (["demo-1.0.data/scripts/run.py", "demo-1.0.data/purelib/demo/__init__.py"], ()),
        (["data/table.csv"], ()),
        (["a/" * 10 + "__init__.py", "b/" * 11 + "__init__.py"], (".".join("a" * 10),)),
        (["not a name/__init__.py", "1st.py", "x" * 200 + ".py"], ()),
        ([f"m{number}.py" for number in range(9)], ("m0", "m1", "m2", "m3", "m4")),
    ],
)
def test_the_modules_at_a_wheels_top_are_tried(names, modules):
    assert modules_in(names) == modules
