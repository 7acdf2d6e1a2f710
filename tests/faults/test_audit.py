"""`check_storage` and `rebuild_indexes` find all that is wrong, and nothing else."""

import random
from dataclasses import replace

import pytest

from tests.faults.conftest import CALM

pytestmark = [pytest.mark.whole, pytest.mark.faults]

OF_EACH = 20


@pytest.mark.parametrize("world", [replace(CALM, packages=3 * OF_EACH, builders=3)], indirect=True)
def test_T48_an_audit_finds_every_fault_and_nothing_else(world):
    farm, chance = world.farm, random.Random(1)
    world.farm.wait_until(world.is_calm)
    assert "all is well" in farm.manage("check_storage", "--hashes").stdout
    wheels = sorted((farm.var / "files").rglob("*.whl"))
    assert len(wheels) == 3 * OF_EACH
    chance.shuffle(wheels)
    for path in wheels[:OF_EACH]:
        # The published tree has a link to the same bytes.
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1
        path.write_bytes(content)
    for path in wheels[OF_EACH : 2 * OF_EACH]:
        path.unlink()
    for number, path in enumerate(wheels[2 * OF_EACH :]):
        path.with_name(f"stranger{number}-1.0-py3-none-any.whl").write_bytes(b"Nobody knows this.")

    said = farm.manage("check_storage", "--hashes")

    assert said.returncode == 1
    lines = [line.partition(":")[0] for line in said.stdout.splitlines()]
    assert lines.count("spoilt") == OF_EACH
    assert lines.count("missing") == OF_EACH
    # Strangers may be what somebody writes at this moment; they are set aside after a day.
    assert len(lines) == 2 * OF_EACH

    pages = sorted((farm.var / "public" / "simple").glob("kill*/index.html"))[:OF_EACH]
    for page in pages:
        page.write_text(page.read_text().replace("sha256=", "sha256=tampered"))
    farm.manage("rebuild_indexes")

    assert [page for page in pages if "tampered" in page.read_text()] == []
