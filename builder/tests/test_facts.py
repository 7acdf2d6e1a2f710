import sys

from builder.contract import BuilderFacts, decode, encode
from builder.facts import facts


def test_facts_are_what_the_contract_says(tmp_path):
    told = facts(tmp_path)

    assert decode(BuilderFacts, encode(told)) == told


def test_facts_are_of_this_machine(tmp_path):
    told = facts(tmp_path)

    assert told.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert told.memory_bytes > 64 << 20
    assert told.disk_free_bytes > 0
    assert told.model
    assert told.versions["celery"].startswith("5.")
