import json
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from builder import contract
from builder.contract import BadMessage, BuildOrder, BuildReport, WheelReport, decode, encode

WIRE = json.loads(Path(__file__).with_name("wire.json").read_text())


def body(kind, **changes) -> bytes:
    return json.dumps({**WIRE[kind], **changes}).encode()


@pytest.mark.parametrize("kind", WIRE)
def test_each_message_reads_and_writes_as_on_the_wire(kind):
    message = decode(getattr(contract, kind), json.dumps(WIRE[kind]).encode())

    assert json.loads(encode(message)) == WIRE[kind]


def test_the_wire_has_an_example_of_each_message():
    assert {kind.__name__ for kind in contract.Message.__constraints__} == set(WIRE)


def test_a_report_holds_wheels_not_objects():
    report = decode(BuildReport, body("BuildReport"))

    assert isinstance(report.wheels[0], WheelReport)
    assert report.wheels[0].apt == ("libc6 (>= 2.17)",)


def test_an_unknown_time_of_upload_stays_unknown():
    assert decode(BuildOrder, body("BuildOrder", uploaded_at=None)).uploaded_at is None


def test_a_whole_number_is_a_number_of_seconds():
    assert decode(BuildOrder, body("BuildOrder", time_limit_s=60)).time_limit_s == 60.0


def test_a_field_of_a_newer_side_is_ignored():
    assert decode(BuildOrder, body("BuildOrder", colour="green")).build == 4711


@pytest.mark.parametrize("field", [each.name for each in fields(BuildOrder) if each.default is MISSING])
def test_a_missing_field_is_named(field):
    order = {name: value for name, value in WIRE["BuildOrder"].items() if name != field}

    with pytest.raises(BadMessage, match=rf"BuildOrder\.{field} is missing"):
        decode(BuildOrder, json.dumps(order).encode())


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("BuildOrder", {"build": "4711"}, r"BuildOrder\.build"),
        ("BuildOrder", {"build": True}, r"BuildOrder\.build"),
        ("BuildOrder", {"build": 1.5}, r"BuildOrder\.build"),
        ("BuildOrder", {"time_limit_s": False}, r"BuildOrder\.time_limit_s"),
        ("BuildOrder", {"ticket": None}, r"BuildOrder\.ticket"),
        ("BuildReport", {"succeeded": 1}, r"BuildReport\.succeeded"),
        ("BuildReport", {"wheels": {}}, r"BuildReport\.wheels"),
        ("BuildReport", {"wheels": [{"filename": "a.whl"}]}, r"BuildReport\.wheels\.size"),
        ("BuilderFacts", {"versions": {"pip": 26}}, r"BuilderFacts\.versions"),
    ],
)
def test_a_field_of_another_type_is_named(kind, changes, field):
    with pytest.raises(BadMessage, match=field):
        decode(getattr(contract, kind), body(kind, **changes))


def test_another_contract_is_refused():
    with pytest.raises(BadMessage, match="This side speaks contract 2, the other 3"):
        decode(BuildOrder, body("BuildOrder", contract=3))


@pytest.mark.parametrize("nonsense", [b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_refused(nonsense):
    with pytest.raises(BadMessage):
        decode(BuildOrder, nonsense)


def test_each_builder_has_a_queue_of_its_own():
    assert contract.queue_for("pi-07") == "b.pi-07.q"


def test_a_text_with_characters_that_are_none_is_taken_without_them():
    odd = "no\0 luck \udcff \u00fc"
    with pytest.raises(BadMessage, match="a character that is none"):
        decode(BuildReport, body("BuildReport", reason=odd))

    assert contract.legible(odd) == "no luck ? \u00fc"
    assert decode(BuildReport, body("BuildReport", reason=contract.legible(odd))).reason == "no luck ? \u00fc"
