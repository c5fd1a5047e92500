"""Every way to the newest tables ends at the same tables."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect

from fivelevers.errors import LedgerError
from fivelevers.metering.event import to_record
from fivelevers.stores import migrations
from fivelevers.stores.ledger import Ledger, metadata
from tests.unit.events import attempt


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    yield made
    made.close()


def statements(ledger: Ledger) -> list[str]:
    """What is sent to the database from now on."""
    said: list[str] = []
    event.listen(ledger.engine, "before_cursor_execute", lambda _c, _k, statement, *_: said.append(statement))
    return said


def test_the_steps_lead_to_the_tables_that_the_code_means(ledger: Ledger) -> None:
    ledger.create()
    with ledger.engine.connect() as connection:
        options = {"version_table": migrations.REVISION_TABLE, "compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_the_last_step_is_the_head() -> None:
    config = Config()
    config.set_main_option("script_location", "fivelevers:stores/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_tables_that_are_there_cost_one_select(ledger: Ledger) -> None:
    ledger.create()
    said = statements(ledger)
    ledger.create()
    assert said == ["SELECT version_num FROM fivelevers_revision"]


def test_nothing_of_alembic_loads_where_the_tables_are_there(ledger_url: str, ledger: Ledger) -> None:
    ledger.create()
    code = (
        f"import sys; from fivelevers.stores.ledger import Ledger; made = Ledger({ledger_url!r}); made.create(); "
        "made.close(); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_newer_database_is_refused_and_left_alone(ledger: Ledger) -> None:
    ledger.create()
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE fivelevers_revision SET version_num = '9999'")
    with pytest.raises(LedgerError, match=f"revision 9999, this release knows {migrations.HEAD}"):
        ledger.create()
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM fivelevers_revision").scalar() == "9999"


def test_a_step_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE outcome (in_the_way INTEGER)")
    with pytest.raises(LedgerError, match="can not be opened"):
        ledger.create()
    assert inspect(ledger.engine).get_table_names() == ["outcome"]
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE outcome")
    ledger.create()
    assert ledger.insert([to_record(attempt())]) == []


MAKING = """
import sys, time
from pathlib import Path
import alembic.command
from fivelevers.stores.ledger import Ledger
ledger, here = Ledger(sys.argv[1]), Path(sys.argv[2])
(here / f"ready-{sys.argv[3]}").touch()
while not (here / "go").exists():
    time.sleep(0.001)
ledger.create()
ledger.close()
"""


def test_many_may_make_the_tables_at_once(ledger_url: str, ledger: Ledger, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKING, ledger_url, str(tmp_path)]
    makers = [subprocess.Popen([*command, str(at)]) for at in range(4)]
    while len(list(tmp_path.glob("ready-*"))) < len(makers) and all(maker.poll() is None for maker in makers):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [maker.wait(timeout=120) for maker in makers] == [0] * len(makers)
    assert ledger.insert([to_record(attempt())]) == []


def test_ledgers_of_one_process_are_made_at_the_same_time(tmp_path: Path) -> None:
    made = [Ledger(f"sqlite:///{tmp_path}/{n}.db") for n in range(6)]
    with ThreadPoolExecutor(len(made)) as pool:
        for done in [pool.submit(ledger.create) for ledger in made]:
            done.result()
    for ledger in made:
        assert "decision" in inspect(ledger.engine).get_table_names()
        ledger.close()
