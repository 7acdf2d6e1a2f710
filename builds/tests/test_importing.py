"""What is read of another farm's folder, wheels and rows, and what of it is not believed."""

import io
import zipfile

import pytest

from builds.importing.needs import sorted_out
from builds.importing.tree import NotThere, Tree
from builds.importing.wheels import installable_tags, read
from builds.wheels.wheel_names import BadWheel
from tests import sdists


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "root" / "simple" / "demo").mkdir(parents=True)
    (tmp_path / "far" / "demo").mkdir(parents=True)
    (tmp_path / "secret.whl").write_text("secret")
    return Tree(tmp_path / "root", {"https://far.example.org": tmp_path / "far"})


def test_a_twin_is_the_file_that_its_link_leads_to(tree):
    folder = tree.root / "simple" / "demo"
    (folder / "armv7l.whl").write_text("x")
    (folder / "armv6l.whl").symlink_to("armv7l.whl")

    assert tree.wheel("/simple", "demo", "armv6l.whl") == folder / "armv7l.whl"


def test_a_file_of_another_host_is_in_the_folder_that_was_named_for_it(tree):
    path = tree.archives["https://far.example.org"] / "demo" / "a.whl"
    path.write_text("x")

    assert tree.wheel("https://far.example.org/", "demo", "a.whl") == path
    with pytest.raises(NotThere, match="name its folder"):
        tree.wheel("https://elsewhere.example.org", "demo", "a.whl")


@pytest.mark.parametrize("name", ["../../../secret.whl", "../../../../../../etc/passwd", "a\0b"])
def test_no_name_leads_out_of_the_folder(tree, name):
    with pytest.raises(NotThere):
        tree.wheel("/simple", "demo", name)


def test_a_log_is_where_its_number_says(tree):
    path = tree.root / "logs" / "0000" / "0801" / "9419.txt.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")

    assert tree.log(8019419) == path


def made(members):
    """Return a zip with these members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    content.seek(0)
    return content


NAME = "demo-1.0-py3-none-any.whl"


def test_metadata_is_that_of_the_wheel_and_not_of_what_it_has_vendored(tmp_path):
    members = {
        "aaa-1.0.dist-info/METADATA": "Name: aaa\n",
        "demo-1.0.dist-info/METADATA": "Name: demo\nRequires-Python: >=3.9\nRequires-Dist: six (>=1.0)\n",
    }

    contents = read(made(members), NAME, architecture="armhf", scratch=tmp_path)

    assert contents.requires_python == ">=3.9"
    assert contents.requires_dist == ("six (>=1.0)",)
    assert contents.metadata.startswith(b"Name: demo")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (io.BytesIO(b"no zip"), "cannot be read as a wheel"),
        (made({"demo.py": ""}), "has no METADATA"),
        (made({"demo-1.0.dist-info/METADATA": "x" * (2 << 20)}), "METADATA has more than"),
    ],
)
def test_what_has_no_metadata_that_can_be_read_is_no_wheel(content, reason, tmp_path):
    with pytest.raises(BadWheel, match=reason):
        read(content, NAME, architecture="armhf", scratch=tmp_path)


def test_what_nobody_can_require_is_left_out(tmp_path):
    lines = "\n".join(f"Requires-Dist: {line}" for line in ("good>=1", "!!", "x" * 2000, "a\0b"))

    contents = read(
        made({"demo-1.0.dist-info/METADATA": lines}), NAME, architecture="armhf", scratch=tmp_path
    )

    assert contents.requires_dist == ("good>=1",)


def test_of_a_wheel_that_several_systems_may_take_the_content_is_known(tmp_path):
    name = "demo-1.0-py3-none-linux_armv7l.whl"
    content = sdists.make_wheel("demo", "1.0", "py3-none-linux_armv7l")

    assert read(io.BytesIO(content), name, architecture="armhf", scratch=tmp_path).content_sha256
    assert not read(
        io.BytesIO(sdists.make_wheel("demo", "1.0")), NAME, architecture="armhf", scratch=tmp_path
    ).content_sha256


@pytest.mark.parametrize(
    "name",
    [
        *("a/demo-1.0-py3-none-any.whl", ".new-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.zip", "x.whl"),
        f"demo-1.0-{2**31 - 1}-py3-none-any.whl",
        "demo-1.0-202301011200-py3-none-any.whl",
    ],
)
def test_a_name_that_is_no_wheels_is_refused(name):
    with pytest.raises(BadWheel):
        installable_tags(name)


def test_needs_are_sorted_out():
    good, bad = sorted_out(
        [("apt", "libffi8"), ("", "/opt/vc/lib/libmmal.so"), ("apt", "x; rm -rf"), ("yum", "y")]
    )

    assert good == [("apt", "libffi8", "libffi8"), ("lib", "libmmal.so", "")]
    assert bad == [("apt", "x; rm -rf"), ("yum", "y")]
