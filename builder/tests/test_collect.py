import hashlib
import io
import os
import zipfile

import pytest

from builder.collect import BadOutput, collect


def test_wheels_come_in_the_order_of_their_names(tmp_path):
    for name in ("b-1-py3-none-any.whl", "a-1-py3-none-any.whl"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "notes.txt").write_text("not a wheel")

    with collect(tmp_path) as wheels:
        assert [wheel.filename for wheel in wheels] == ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"]
        assert wheels[0].sha256 == hashlib.sha256(b"a-1-py3-none-any.whl").hexdigest()
        assert wheels[0].size == 20

    assert wheels[0].file.closed


def plant_symlink(path, secret):
    path.symlink_to(secret)


def plant_hard_link(path, secret):
    os.link(secret, path)


def plant_pipe(path, secret):
    os.mkfifo(path)


def plant_folder(path, secret):
    path.mkdir()


@pytest.mark.parametrize("plant", [plant_symlink, plant_hard_link, plant_pipe, plant_folder])
def test_T32_what_only_looks_like_a_wheel_is_refused(tmp_path, plant):
    secret = tmp_path / "secret"
    secret.write_text("token")
    out = tmp_path / "out"
    out.mkdir()
    plant(out / "a-1-py3-none-any.whl", secret)

    with pytest.raises(BadOutput, match="not a regular file"), collect(out):
        pass


def test_a_folder_that_became_a_link_is_refused(tmp_path):
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "a-1-py3-none-any.whl").write_text("of somebody else")
    (tmp_path / "out").symlink_to(tmp_path / "others")

    with pytest.raises(BadOutput, match="The folder for wheels is gone"), collect(tmp_path / "out"):
        pass


def test_a_file_of_another_size_than_a_wheels_is_refused(tmp_path):
    with (tmp_path / "a-1-py3-none-any.whl").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BadOutput, match="has 1099511627776 bytes"), collect(tmp_path):
        pass

    os.truncate(tmp_path / "a-1-py3-none-any.whl", 0)
    with pytest.raises(BadOutput, match="has 0 bytes"), collect(tmp_path):
        pass


@pytest.mark.parametrize("name", ["a b-1-py3-none-any.whl", "\x1b[2Ja.whl", ".whl", "a" * 201 + ".whl"])
def test_a_name_that_no_wheel_has_is_refused(tmp_path, name):
    (tmp_path / name).write_text("wheel")

    with pytest.raises(BadOutput, match="cannot be a wheel's name"), collect(tmp_path):
        pass


def test_neither_none_nor_too_many_are_taken(tmp_path):
    with pytest.raises(BadOutput, match="pip ended well but left no wheel"), collect(tmp_path):
        pass

    for number in range(9):
        (tmp_path / f"tiny-{number}-py3-none-any.whl").write_text("wheel")
    with pytest.raises(BadOutput, match="left 9 wheels"), collect(tmp_path):
        pass


def zip_of(members: int, comment: bytes = b"") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.comment = comment
        for number in range(members):
            packed.writestr(zipfile.ZipInfo(f"{number}"), b"")
    return archive.getvalue()


def says_that_it_has_one(content: bytes) -> bytes:
    """Change the number of members in the end record, by which no reader goes."""
    return content[:-14] + b"\1\0\1\0" + content[-10:]


@pytest.mark.parametrize(
    "make",
    [
        lambda: zip_of(50_001),
        lambda: says_that_it_has_one(zip_of(50_001)),
        lambda: zip_of(50_001, b"a comment"),
        lambda: zip_of(65_536),
        # So long that its mark of zip64 is before all that is looked through for the end record.
        lambda: zip_of(65_536, b"c" * 65_535),
    ],
    ids=["honest", "lying", "with-a-comment", "zip64", "zip64-with-the-longest-comment"],
)
def test_a_wheel_of_more_members_than_the_server_takes_is_refused_before_they_are_listed(tmp_path, make):
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(make())

    with pytest.raises(BadOutput, match="has more than 50000 members"), collect(tmp_path):
        pass


@pytest.mark.parametrize(
    "content",
    [zip_of(3), zip_of(3, b"a comment"), zip_of(3)[:-1], zip_of(3)[-22:], b"PK\5\6", b"PK\6\7" * 20],
)
def test_how_a_zip_is_broken_is_for_others_to_say(tmp_path, content):
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(content)

    with collect(tmp_path) as (wheel,):
        assert wheel.sha256 == hashlib.sha256(content).hexdigest()
