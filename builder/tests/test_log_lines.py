import io
import json
import logging
from threading import Event

import pytest

from builder.log_lines import about
from builder.settings import BadSettings, read
from builder.tests.test_settings import WHOLE
from builder.worker import log_as_json


@pytest.fixture
def log():
    """What this process logs once it writes JSON."""
    root = logging.getLogger()
    before, level, out = root.handlers[:], root.level, io.StringIO()
    log_as_json(read({**WHOLE, "LOG_FORMAT": "json"}), out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:], root.level = before, level


def test_each_line_names_the_builder_and_what_it_is_about(log):
    with about(build=17, attempt=2):
        logging.getLogger("builder.build").info("It builds.")
    logging.getLogger("builder.worker").warning("All is well.")

    first, second = log()
    assert (first["builder"], first["build"], first["attempt"]) == ("pi-07", 17, 2)
    assert (second["builder"], second["message"], "build" in second) == ("pi-07", "All is well.", False)


def test_the_heartbeats_of_a_build_are_about_it(log, tmp_path):
    from builder.client import Unreachable
    from builder.heartbeat import Heartbeats
    from builder.log import Log
    from builder.tests.server import make_order

    failed = Event()

    class Silent:
        def heartbeat(self, *args, **kwargs):
            failed.set()
            raise Unreachable("no network")

    order = make_order(heartbeat_s=0.01)
    with about(build=17), Log(tmp_path) as build_log, Heartbeats(order, build_log, Silent()):
        assert failed.wait(5)

    assert all(line["build"] == 17 for line in log())
    assert log()


def test_there_is_no_third_way_to_write_a_log():
    assert read(WHOLE).log_format == "line"
    with pytest.raises(BadSettings, match='LOG_FORMAT must be "line" or "json"'):
        read({**WHOLE, "LOG_FORMAT": "xml"})
