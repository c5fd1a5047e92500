"""A forgotten subject is gone from tables, files and bytes; what is left of it is found and told."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Attempt, ContentKept, Event, to_record
from fivelevers.metering.outcomes import Outcome
from fivelevers.policy import end_user_digest
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.spool import Spool, reject
from tests.unit.events import attempt, outcome

TABLES = ("attempt", "outcome", "tag", "saving", "content")


class Kept:
    """A state directory and a ledger with traffic of several subjects."""

    def __init__(self, state_dir: Path, url: str) -> None:
        self.state_dir, self.url = state_dir, url
        self.ledger = Ledger(url)
        self.ledger.create()

    def insert(self, *events: Event) -> None:
        assert self.ledger.insert([to_record(event) for event in events]) == []

    def requests(self, count: int = 3, **changes: object) -> list[str]:
        """Requests of somebody with everything that can be kept of one; their ids."""
        ids = [uuid4().hex for _ in range(count)]
        self.insert(*(event for name in ids for event in events_of(name, **changes)))
        return ids

    def rows(self) -> dict[str, int]:
        with self.ledger.engine.connect() as connection:
            return {name: connection.exec_driver_sql(f"select count(*) from {name}").scalar_one() for name in TABLES}  # noqa: S608

    def forget(self, *arguments: str) -> Result:
        where = ["--state-dir", str(self.state_dir), "--ledger", self.url]
        return CliRunner().invoke(app, ["forget", *arguments, *where])

    def forgotten(self, *arguments: str) -> Result:
        result = self.forget(*arguments, "--yes")
        assert result.exit_code == 0, result.output
        return result


def table(result: Result) -> dict[str, list[str]]:
    """The printed lines by their first word."""
    return {words[0]: words[1:] for line in result.output.splitlines() if (words := line.split())}


def events_of(request_id: str, **changes: object) -> list[Event]:
    saved = (Saving("prompt_cache", Basis.OBSERVED, Decimal(1)),)
    whole = attempt(event_id=uuid4().hex, request_id=request_id, tags=("x",), savings=saved)
    made: Attempt = type(whole)(**{name: getattr(whole, name) for name in whole.__slots__} | changes)
    kept = ContentKept(request_id, 1.0, made.route, made.tenant, made.end_user, 4e9, None, b"blob")
    said = outcome(request_id, Outcome.SUCCESS)
    return [made, kept, said]


@pytest.fixture
def kept(tmp_path: Path, ledger_url: str) -> Iterator[Kept]:
    made = Kept(tmp_path, ledger_url)
    yield made
    made.ledger.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    yield made
    made.ledger.close()


def team(name: str) -> dict[str, object]:
    return {"team": name, "tenant": f"team:{name}", "key": f"k-{name}", "key_alias": f"desk-{name}"}


def test_a_team_is_forgotten_and_its_namesakes_are_not(kept: Kept) -> None:
    kept.requests(3, **team("acme"))
    kept.requests(1, **team("acme") | {"tenant": "key:k-acme"})  # on a route whose wall is the key
    kept.requests(2, **team("acme-2"), route="acme", model="acme")
    assert kept.rows() == dict.fromkeys(TABLES, 6)
    dry = kept.forget("--tenant", "acme")
    assert (dry.exit_code, kept.rows()) == (0, dict.fromkeys(TABLES, 6))
    assert table(dry)["attempt"] == ["4"]
    assert "--yes" in dry.output
    kept.forgotten("--tenant", "acme")
    assert kept.rows() == dict.fromkeys(TABLES, 2)
    kept.forgotten("--tenant", "team:acme-2")
    assert kept.rows() == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize("name", ["key:k-acme", "key:desk-acme"])
def test_a_key_is_forgotten_by_its_hash_or_its_alias(kept: Kept, name: str) -> None:
    kept.requests(3, **team("acme"))
    kept.requests(2, **team("acme") | {"key": "other", "key_alias": None})
    kept.forgotten("--tenant", name)
    assert kept.rows() == dict.fromkeys(TABLES, 2)


def test_an_end_user_is_forgotten_everywhere_or_in_one_team(kept: Kept) -> None:
    bob, eve = ({"end_user": end_user_digest(name)} for name in ("bob@example.org", "eve"))
    kept.requests(1, **team("acme"), **bob)
    kept.requests(2, **team("globex"), **bob)
    kept.requests(4, **team("acme"), **eve)
    kept.forgotten("--end-user", "bob@example.org", "--team", "acme")
    assert kept.rows() == dict.fromkeys(TABLES, 6)
    kept.forgotten("--end-user", "bob@example.org")
    assert kept.rows() == dict.fromkeys(TABLES, 4)


def test_nobody_is_forgotten_in_peace(kept: Kept) -> None:
    kept.requests(2)
    kept.forgotten("--tenant", "nobody")
    assert kept.rows() == dict.fromkeys(TABLES, 2)


def test_content_without_its_attempt_is_found_by_what_it_says_itself(kept: Kept) -> None:
    kept.insert(ContentKept("r", 1.0, "support", "team:acme", None, 4e9, None, b"blob"))
    kept.forgotten("--tenant", "acme")
    assert kept.rows()["content"] == 0


def test_a_trace_in_somebody_else_s_row_is_found_and_told(kept: Kept) -> None:
    kept.requests(2, **team("acme"), end_user=end_user_digest("bob"))
    kept.insert(attempt(tags=("for bob!", "bobby", "jimbob", "bob.smith", "bob@x", "jim-bob")))
    result = kept.forget("--end-user", "bob", "--yes")
    assert result.exit_code == 1
    assert table(result)["tag"] == ["2", "1"]  # "for bob!" and no other


def test_a_trace_in_a_table_that_nobody_knows_is_found(kept: Kept) -> None:
    ids = kept.requests(1, **team("acme"))
    with kept.ledger.engine.begin() as connection:
        connection.exec_driver_sql("create table copy_of_mine (anything varchar)")
        connection.exec_driver_sql(f"insert into copy_of_mine values ('{ids[0]}')")  # noqa: S608
    result = kept.forget("--tenant", "acme", "--yes")
    assert result.exit_code == 1
    assert table(result)["copy_of_mine"] == ["1"]


def test_the_bytes_are_gone_from_the_files(in_file: Kept, tmp_path: Path) -> None:
    ids = in_file.requests(300, **team("acme"))
    in_file.requests(300, **team("globex"))

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.glob("ledger.db*")))

    with in_file.ledger.engine.connect() as reader:  # an open connection keeps the write-ahead log in being
        reader.exec_driver_sql("select 1")
        assert all(name.encode() in on_disk() for name in ids)
        assert table(in_file.forgotten("--tenant", "acme"))["ledger.db"] == ["(bytes)", "0"]
        found = on_disk()
        assert not [name for name in ids if name.encode() in found]
        assert b"team:acme" not in found
        assert b"team:globex" in found


def test_bytes_that_a_busy_reader_keeps_are_found_and_told(in_file: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.stores.forget_ledger._WAIT_S", 0)
    in_file.requests(3, **team("acme"))
    with in_file.ledger.engine.connect() as reader:
        reader.exec_driver_sql("begin")
        reader.exec_driver_sql("select * from attempt").fetchone()  # its snapshot needs the write-ahead log
        in_file.requests(3, **team("acme"))
        result = in_file.forget("--tenant", "acme", "--yes")
    assert result.exit_code == 1, result.output
    assert table(result)["attempt"] == ["6", "0"]
    assert int(table(result)["ledger.db"][1]) > 0


def test_what_waits_in_the_spool_is_forgotten_too(in_file: Kept, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for name in ("acme", "globex"):
        for event in events_of(uuid4().hex, **team(name)):
            spool.append(to_record(event))
    handed = threading.Timer(0.5, spool.close)  # a live writer closes its segment within the second
    handed.start()
    in_file.forgotten("--tenant", "acme")
    handed.join()
    assert in_file.rows() == dict.fromkeys(TABLES, 1)


WRITER = """
import sys, time, pathlib
from fivelevers.stores.spool import Spool
Spool(pathlib.Path(sys.argv[1])).append({"kind": "nothing"})
print("appended", flush=True)
time.sleep(60)
"""


def test_a_writer_that_keeps_its_segment_is_named(
    in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = in_file.requests(1, **team("acme"))
    monkeypatch.setattr("fivelevers.stores.forget_spool.HAND_OVER_LIMIT_S", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "spool")], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        result = in_file.forget("--tenant", "acme", "--yes")
        writer.kill()
    assert result.exit_code == 2
    assert f"{writer.pid}-" in result.output
    assert in_file.rows()["attempt"] == len(ids)


def damaged(tenant: str) -> bytes:
    return orjson.dumps({"kind": "from-a-later-version", "team": tenant, "tenant": f"team:{tenant}", "route": "acme"})


@pytest.mark.parametrize("line", [damaged, lambda name: f'{{"torn": "team:{name}'.encode()])
def test_lines_that_no_ledger_took_are_cut_out(in_file: Kept, tmp_path: Path, line: Callable[[str], bytes]) -> None:
    (tmp_path / "spool").mkdir()
    for name in ("acme", "globex", "acme"):
        reject(tmp_path / "spool/damaged", line(name))
    result = in_file.forgotten("--tenant", "acme")
    assert table(result)["spool/damaged.rejected"] == ["2", "0"]
    assert (tmp_path / "spool/damaged.rejected").read_bytes() == line("globex") + b"\n"


def test_content_past_its_retention_goes_on_demand(in_file: Kept) -> None:
    in_file.insert(
        ContentKept("r1", 1.0, "support", "team:acme", None, 2.0, None, b""),
        ContentKept("r2", 1.0, "support", "team:acme", None, 4e9, None, b""),
    )
    assert in_file.forget("--expired").exit_code == 0
    assert in_file.rows()["content"] == 2
    in_file.forgotten("--expired")
    assert in_file.rows()["content"] == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["--team", "a"], ["--tenant", "a", "--end-user", "b"], ["--expired", "--tenant", "a"],
     ["--tenant", "a", "--team", "b"]],
)  # fmt: skip
def test_one_subject_at_a_time(in_file: Kept, arguments: list[str]) -> None:
    assert in_file.forget(*arguments, "--yes").exit_code == 2


def test_a_ledger_that_can_not_be_reached_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["forget", "--tenant", "a", "--ledger", "mysql://x", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "FIVELEVERS_LEDGER_URL" in result.output
