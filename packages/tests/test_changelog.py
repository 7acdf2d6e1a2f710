import pytest

from packages import changelog as module
from packages.changelog import Event, NoJournal
from packages.fetch import UpstreamUnavailable


def test_the_last_serial_is_a_number(journal, changelog):
    journal.write("demo")

    assert changelog.last_serial() == 1001


def test_events_after_a_serial_come_as_upstream_spells_them(journal, changelog):
    journal.write("old")
    journal.write("Demo.Pkg", "add source file demo-1.0.tar.gz")
    journal.write(None, "nuke user")

    assert changelog.since(1001) == [
        Event(1002, "Demo.Pkg", "add source file demo-1.0.tar.gz"),
        Event(1003, "", "nuke user"),
    ]


@pytest.mark.parametrize("status", [301, 404, 405, 410, 501])
def test_an_index_may_have_no_journal(journal, changelog, status):
    journal.fail("/pypi", status)

    with pytest.raises(NoJournal, match=str(status)):
        changelog.last_serial()


def test_a_page_for_people_is_no_journal(journal, changelog):
    journal.reply("/pypi", b"<html></html>", "text/html; charset=utf-8")

    with pytest.raises(NoJournal):
        changelog.last_serial()


@pytest.mark.parametrize(
    "code, text", [(-32601, "server error; method not found"), (-32500, "PyPI no longer supports this")]
)
def test_an_index_may_know_no_such_method(journal, changelog, code, text):
    journal.refuse_calls(code, text)

    with pytest.raises(NoJournal):
        changelog.last_serial()


@pytest.mark.parametrize(
    "text, pause",
    [
        (
            "HTTPTooManyRequests: The action could not be performed because there were too many requests"
            " by the client. Limit may reset in 17 seconds.",
            17,
        ),
        ("HTTPTooManyRequests: slow down", module.LIMIT_S),
    ],
)
def test_a_limit_says_how_long_to_wait(journal, changelog, text, pause):
    journal.refuse_calls(-32500, text)

    with pytest.raises(UpstreamUnavailable) as raised:
        changelog.since(1)

    assert raised.value.retry_after == pause


def test_a_limit_may_be_a_status(journal, changelog):
    journal.fail("/pypi", 429, retry_after=30)

    with pytest.raises(UpstreamUnavailable) as raised:
        changelog.since(1)

    assert raised.value.retry_after == 30


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;">]><methodResponse>&c;</methodResponse>'


def response(value):
    return f"<methodResponse><params><param><value>{value}</value></param></params></methodResponse>"


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        "not XML",
        "<methodResponse>",
        "<html/>",
        response("<int>many</int>"),
        response("<string>9</string>"),
        response("<int>-1</int>"),
        response("<boolean>1</boolean>"),
        response("<long>99999999999999999999999</long>"),
        response("<array><data><value><array><data></data></array></value></data></array>"),
    ],
)
@pytest.mark.parametrize("question", ["last_serial", "since"])
def test_an_answer_that_makes_no_sense_is_an_outage(journal, changelog, body, question):
    journal.reply("/pypi", body.encode())

    with pytest.raises(UpstreamUnavailable):
        changelog.last_serial() if question == "last_serial" else changelog.since(1)


def test_a_server_error_is_an_outage_and_not_an_absence(journal, changelog):
    journal.fail("/pypi", 503)

    with pytest.raises(UpstreamUnavailable, match="503"):
        changelog.last_serial()


def test_an_answer_may_not_be_larger_than_a_page_can_be(journal, changelog, monkeypatch):
    monkeypatch.setattr(module, "PAGE_BYTES", 1000)
    for number in range(20):
        journal.write(f"demo{number}")

    with pytest.raises(UpstreamUnavailable, match="more than 1000 bytes"):
        changelog.since(1)
