"""Hostile files over a socket against a gateway in a process of its own: each has its answer, and none costs much."""

from collections.abc import Iterator

import pytest

from tests.intake.cases import Case, cases
from tests.intake.meter import Meter, open_meter
from tests.intake.security_table import FILE, described

SECONDS = 20.0  # on a machine that does other things as well; docs/security.md has the figures of an idle one
PEAK_MB = 1400.0  # of the process that opens the file: its bound, see `Order.memory_bytes`
GATEWAY_MB = 80.0  # that the gateway's own memory may grow by: one file of the longest, read to be stored


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meter]:
    with open_meter(tmp_path_factory.mktemp("hostile")) as opened:
        yield opened


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case.name))
def test_hostile_file(meter: Meter, case: Case) -> None:
    """Each file has its answer within its time and memory, tells nothing of our insides and breaks nothing."""
    measured = meter.measure(case)

    assert case.holds(measured.status, measured.code, measured.warnings), measured
    assert measured.seconds < SECONDS
    assert measured.peak_mb < PEAK_MB
    assert measured.gateway_mb < GATEWAY_MB
    assert "Traceback" not in str(measured.body)
    assert "services" not in str(measured.body)
    assert meter.system.client.get("/livez").status_code == 200


def test_the_whole_table_is_there() -> None:
    """The table of docs/security.md has each of these files with its answer, in their order, and no other."""
    table = FILE.read_text(encoding="utf-8").partition("<!-- hostile -->")[2].partition("<!-- /hostile -->")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]

    assert len(rows) == len(cases())
    for row, case in zip(rows, cases(), strict=True):
        assert row.startswith(f"{described(case)} | ")
