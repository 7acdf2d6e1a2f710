"""`manage.py count_downloads`: old logs, each counted once."""

import gzip

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from simple import downloads, logs
from simple.follow import Follower
from simple.models import Client, Download, Log, Miss
from simple.tests.log_lines import UV, apache, nginx
from simple.tests.rows import make_package, make_wheel

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def count(capsys, *paths):
    call_command("count_downloads", *map(str, paths))
    return capsys.readouterr().out.splitlines()


def of_clients(line, wheel, count, first=0, **fields):
    return b"".join(line(wheel.url, address=f"10.0.0.{first + n}", **fields) for n in range(count))


@pytest.mark.parametrize("line", [nginx, apache])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_log_is_counted_once_whatever_it_is_called_then(tmp_path, capsys, line, pack):
    content = of_clients(line, make_wheel(), 3) + of_clients(line, make_wheel("other"), 2, agent=UV)
    log, copy, packed = tmp_path / "access.log", tmp_path / "copy", tmp_path / "packed.gz"
    log.write_bytes(pack(content))
    copy.write_bytes(content)
    packed.write_bytes(gzip.compress(content))

    said = count(capsys, log, copy, packed)

    assert [each.partition(": ")[2] for each in said] == [
        "5 lines read; in all 5 downloads, 0 in vain.",
        "was counted before: 5 lines, 5 downloads.",
        "was counted before: 5 lines, 5 downloads.",
    ]
    found = Download.objects.order_by("client__installer").values_list("client__installer", "count")
    assert list(found) == [("pip", 3), ("uv", 2)]


def test_a_log_that_was_counted_and_has_grown_is_counted_on(tmp_path, capsys):
    log, wheel = tmp_path / "access.log", make_wheel()
    log.write_bytes(of_clients(apache, wheel, 3))
    count(capsys, log)
    log.write_bytes(log.read_bytes() + of_clients(apache, wheel, 2, first=3))

    assert count(capsys, log) == [f"{log}: 2 lines read; in all 5 downloads, 0 in vain."]


def test_what_a_follower_has_read_is_not_counted_again(tmp_path, capsys):
    log, wheel = tmp_path / "access.log", make_wheel()
    log.write_bytes(of_clients(nginx, wheel, 3))
    follower = Follower(log)
    follower.step()
    follower.close()
    log.rename(tmp_path / "old")

    assert count(capsys, tmp_path / "old") == [f"{tmp_path}/old: was counted before: 3 lines, 3 downloads."]


def test_a_count_that_was_stopped_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(logs, "LINES", 10)
    log = tmp_path / "access.log"
    log.write_bytes(of_clients(nginx, make_wheel(), 35))
    chunks = iter([None] * 2)

    def fail(execute, sql, params, many, context):
        if "INTO simple_downloadday" in sql and "RETURNING" in sql and next(chunks, 0) == 0:
            raise OperationalError("the connection was closed")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        count(capsys, log)
    assert downloads.total() == 20

    assert count(capsys, log) == [f"{log}: 15 lines read; in all 35 downloads, 0 in vain."]


def test_misses_and_refused_lines_are_told(tmp_path, capsys):
    make_package("wanted")
    log = tmp_path / "access.log"
    log.write_bytes(apache("/simple/wanted/", status=404) + b"nonsense\n" + b"\xff" * 200_000)

    assert count(capsys, log) == [
        f"{log}: 3 lines read; in all 0 downloads, 1 in vain,"
        " 1 longer than any request, 1 not a line of a log that we know."
    ]
    assert Miss.objects.get().count == 1


def test_what_a_part_of_the_index_lacks_is_not_looked_for_in_vain(tmp_path, capsys):
    make_wheel("there")
    make_package("wanted")
    log = tmp_path / "access.log"
    log.write_bytes(
        apache("/simple-platform/there/", status=404)
        + apache("/bookworm/simple/there/", status=404)
        + apache("/simple-full/wanted/", status=302)
    )

    count(capsys, log)

    assert [(miss.package.name, miss.count) for miss in Miss.objects.all()] == [("wanted", 1)]


def test_the_others_are_counted_where_one_log_cannot_be(tmp_path, capsys):
    good, cut, empty = tmp_path / "good", tmp_path / "cut.gz", tmp_path / "empty"
    good.write_bytes(of_clients(nginx, make_wheel(), 3))
    cut.write_bytes(gzip.compress(of_clients(nginx, make_wheel("other"), 500))[:-20])
    empty.touch()

    with pytest.raises(CommandError) as error:
        count(capsys, cut, tmp_path / "missing", empty, good)

    assert "cut.gz is no whole gzip" in str(error.value)
    assert "missing" in str(error.value)
    assert Download.objects.filter(wheel__package__name="demo").get().count == 3
    assert Log.objects.count() == 2


def test_a_log_that_was_changed_after_it_was_counted_is_refused(tmp_path, capsys):
    log, wheel = tmp_path / "access.log", make_wheel()
    log.write_bytes(of_clients(nginx, wheel, 3))
    count(capsys, log)
    log.write_bytes(of_clients(nginx, wheel, 1) + of_clients(nginx, wheel, 5, first=10))

    with pytest.raises(CommandError, match="goes on differently"):
        count(capsys, log)
    assert downloads.total() == 3


def test_agents_that_somebody_makes_up_do_not_fill_the_disk(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Client, "MOST", 10)
    log, wheel = tmp_path / "access.log", make_wheel()
    agents = [f'pip/{n}.0 {{"installer":{{"name":"pip","version":"{n}.0"}}}}' for n in range(6, 60)]
    log.write_bytes(b"".join(nginx(wheel.url, agent=agent) for agent in agents))

    count(capsys, log)

    assert downloads.total() == len(agents)
    assert Client.objects.count() <= 11
    assert Download.objects.get(client__installer_version="").count >= len(agents) - 10


def test_to_try_it_says_how_much_is_known_and_counts_nothing(tmp_path, capsys):
    log, wheel = tmp_path / "access.log", make_wheel()
    log.write_bytes(of_clients(apache, wheel, 3))

    assert count(capsys, log, "--dry-run") == [f"{log}: none of it was counted before; what is new would be."]
    assert not (Log.objects.exists() or Download.objects.exists())
    count(capsys, log)
    assert "3 lines of it were counted before" in count(capsys, log, "--dry-run")[0]


def test_a_folder_that_may_not_be_read_is_said(tmp_path, capsys):
    with pytest.raises(CommandError, match="No such file"):
        count(capsys, tmp_path / "nowhere" / "access.log")
