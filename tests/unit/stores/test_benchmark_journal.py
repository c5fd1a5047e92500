"""The journal of a benchmark: what is in it stays, one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from fivelevers.errors import CalibrationError
from fivelevers.stores.benchmark_journal import Journal


def test_a_torn_line_is_cut_off_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "out.journal"
    journal = Journal(path)
    journal.add({"a": "ä\u2028b\rc"})
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"b": 1')
    again = Journal(path)
    assert again.found == [{"a": "ä\u2028b\rc"}]
    again.add({"c": 2})
    again.close()
    assert Journal(path).found == [{"a": "ä\u2028b\rc"}, {"c": 2}]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = Journal(tmp_path / "out.journal")
    with pytest.raises(CalibrationError, match="another benchmark writes to it"):
        Journal(tmp_path / "out.journal")
    first.close()
    Journal(tmp_path / "out.journal").close()


def test_what_is_no_journal_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "out.journal").write_text('{"a": 1}\nhello\n')
    with pytest.raises(CalibrationError, match=r"out\.journal:2: is no record of a benchmark"):
        Journal(tmp_path / "out.journal")
