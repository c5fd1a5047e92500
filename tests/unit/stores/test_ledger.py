"""The ledger keeps every event once, in exact money, and the report reads it back."""

import sqlite3
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fivelevers.errors import LedgerError
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Event, UsageSource, to_record
from fivelevers.metering.outcomes import Observation, Outcome, Source, resolve
from fivelevers.metering.report import GroupBy, Line, build
from fivelevers.prices import Kind, Usage
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.reconcile_query import calls, reported_lines
from fivelevers.stores.report_query import clusters, savings_by_lever
from tests.unit.events import attempt, outcome


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def insert(ledger: Ledger, *events: Event) -> None:
    assert ledger.insert([to_record(event) for event in events]) == []


def lines(ledger: Ledger, by: GroupBy = GroupBy.TOTAL, since: float = 0.0) -> dict[str, Line]:
    return {line.group: line for line in build(clusters(ledger, by, since), savings_by_lever(ledger, by, since))}


def test_an_event_counts_once_however_often_it_comes(ledger: Ledger) -> None:
    one, said = attempt(tags=("a", "a", "b")), outcome("r", Outcome.SUCCESS)
    for _ in range(3):
        insert(ledger, one, one, said)
    assert lines(ledger)["all"].totals.requests == 1
    assert lines(ledger, GroupBy.TAG).keys() == {"a", "b"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(amounts=st.lists(st.decimals(min_value=0, max_value=1000, places=12), min_size=1, max_size=20))
def test_sums_are_exact_to_the_picodollar(tmp_path_factory: pytest.TempPathFactory, amounts: list[Decimal]) -> None:
    made = Ledger(f"sqlite:///{tmp_path_factory.mktemp('exact')}/ledger.db")
    made.create()
    insert(made, *(attempt(cost_usd=usd) for usd in amounts))
    assert lines(made)["all"].totals.cost == sum(amounts)
    made.close()


def test_a_damaged_record_is_handed_back_and_the_others_are_kept(ledger: Ledger) -> None:
    good, bad = to_record(attempt()), {"kind": "attempt", "event_id": "x"}
    assert ledger.insert([bad, good]) == [bad]
    assert lines(ledger)["all"].totals.requests == 1


def test_what_the_database_can_never_take_is_handed_back_and_the_others_are_kept(ledger: Ledger) -> None:
    impossible = to_record(attempt(cost_usd=Decimal(10) ** 9))  # more picodollars than 64 bits hold
    others = [to_record(attempt()) for _ in range(9)]
    assert ledger.insert([*others[:5], impossible, *others[5:]]) == [impossible]
    assert lines(ledger)["all"].totals.requests == 9


def test_text_that_a_database_does_not_keep_costs_no_event(ledger: Ledger) -> None:
    long = "".join(chr(0x4E00 + at * 7919 % 20000) for at in range(5000))  # more than an index takes, compressed too
    insert(ledger, attempt(alias="a\0b", tags=("x\0y", long)), outcome("r\0", Outcome.SUCCESS))
    assert lines(ledger)["all"].totals.requests == 1
    assert lines(ledger, GroupBy.TAG).keys() == {"x\ufffdy", long[:256]}


def test_a_request_is_its_last_attempt_and_pays_for_all(ledger: Ledger) -> None:
    first = attempt(request_id="r", at=1.0, success=False, cost_usd=Decimal("0.3"), usage_source=UsageSource.ESTIMATED)
    last = attempt(request_id="r", at=2.0, cost_usd=Decimal("0.5"))
    insert(ledger, last, first, outcome("r", Outcome.SUCCESS))
    totals = lines(ledger)["all"].totals
    assert (totals.requests, totals.attempts, totals.successes) == (1, 2, 1)
    assert (totals.cost, totals.known_cost, totals.superseded_cost) == (Decimal("0.8"), Decimal("0.8"), Decimal("0.3"))
    assert (totals.estimated, totals.estimated_cost) == (1, Decimal("0.3"))


OBSERVED = st.tuples(st.sampled_from(Source), st.sampled_from(Outcome), st.floats(1, 5, width=16))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(observed=st.lists(OBSERVED, max_size=5))
def test_the_database_resolves_outcomes_as_the_core_does(
    tmp_path_factory: pytest.TempPathFactory, observed: list[tuple[Source, Outcome, float]]
) -> None:
    made = Ledger(f"sqlite:///{tmp_path_factory.mktemp('outcome')}/ledger.db")
    made.create()
    insert(made, attempt(request_id="r"), *(outcome("r", said, source, at) for source, said, at in observed))
    totals = lines(made)["all"].totals
    expected = resolve(Observation(source, said, at) for source, said, at in observed)
    assert (totals.successes, totals.failures) == (expected is Outcome.SUCCESS, expected is Outcome.FAILURE)
    made.close()


def test_a_failed_answer_is_waste_and_costs_what_its_route_says(ledger: Ledger) -> None:
    insert(
        ledger,
        attempt(request_id="bad", cost_usd=Decimal("0.2"), failure_cost_usd=Decimal(3)),
        attempt(request_id="good", cost_usd=Decimal("0.1"), failure_cost_usd=Decimal(3)),
        outcome("bad", Outcome.FAILURE),
        outcome("good", Outcome.SUCCESS),
    )
    line = lines(ledger)["all"]
    assert (line.totals.failed_cost, line.totals.failure_cost) == (Decimal("0.2"), Decimal(3))
    assert sum(waste.usd for waste in line.waste) == Decimal("0.2")


def test_an_unknown_price_is_in_no_sum_and_withholds_the_cost_per_success(ledger: Ledger) -> None:
    insert(ledger, attempt(), attempt(cost_usd=None, cost_parts=None, list_cost_usd=None, cost_without_us_usd=None))
    line = lines(ledger)["all"]
    assert (line.totals.unpriced, line.totals.cost, line.totals.requests) == (1, Decimal("0.00028"), 2)
    assert "price" in getattr(line.cost_per_success, "detail", "")


def test_groups_and_periods(ledger: Ledger) -> None:
    insert(
        ledger,
        attempt(at=10.0, route="a", team=None, key_alias=None, model="m1", tags=("x",)),
        attempt(at=20.0, route="b", model="m2"),
    )
    assert lines(ledger, GroupBy.ROUTE).keys() == {"a", "b"}
    assert lines(ledger, GroupBy.TEAM).keys() == {"(no team)", "a"}
    assert lines(ledger, GroupBy.KEY).keys() == {"k1", "desk"}
    assert lines(ledger, GroupBy.MODEL).keys() == {"m1", "m2"}
    assert lines(ledger, GroupBy.TAG).keys() == {"x"}
    assert lines(ledger, GroupBy.ROUTE, since=15.0).keys() == {"b"}


def test_the_arms_of_a_route_stand_apart(ledger: Ledger) -> None:
    arms = [("prompt_cache", "routing"), ("routing",), ()]
    insert(ledger, *(attempt(route="a", treated=treated) for treated in arms), attempt(route="a", holdout=True))
    insert(ledger, attempt(route="b", holdout=True))
    told = {"a: prompt_cache, routing", "a: routing", "a: no lever", "a: holdout", "b: holdout"}
    assert lines(ledger, GroupBy.ARM).keys() == told


def test_savings_stand_beside_their_line(ledger: Ledger) -> None:
    saved = (
        Saving("prompt_cache", Basis.OBSERVED, Decimal("0.7")),
        Saving("routing", Basis.ESTIMATED, Decimal("-0.2")),
    )
    insert(ledger, attempt(cost_usd=Decimal("0.5"), cost_without_us_usd=Decimal(1), savings=saved), attempt())
    line = lines(ledger)["all"]
    assert sum(usd for _, _, usd in line.savings) == line.totals.saved == Decimal("0.5")


def test_only_reported_usage_is_held_against_a_bill(ledger: Ledger) -> None:
    insert(
        ledger,
        attempt(provider_request_id="told"),
        attempt(provider_request_id="guessed", usage_source=UsageSource.ESTIMATED),
        attempt(provider_request_id=None, usage=Usage(), usage_source=UsageSource.NONE),
    )
    assert {(line.kind, line.tokens, line.usd) for line in reported_lines(ledger, 0.0)} == {
        (Kind.INPUT, 100, Decimal("0.0002")),
        (Kind.OUTPUT, 10, Decimal("0.00008")),
    }
    assert calls(ledger, UsageSource.REPORTED, 0.0) == {"told": 110}
    assert calls(ledger, UsageSource.ESTIMATED, 0.0) == {"guessed": 110}


def test_four_writers_lose_and_double_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    batches = [[to_record(attempt()) for _ in range(50)] for _ in range(8)]

    def write(at: int) -> None:
        mine = Ledger(url)
        mine.create()
        for batch in batches[at::2]:  # every batch is written by two writers
            mine.insert(batch)
        mine.close()

    threads = [threading.Thread(target=write, args=(at % 2,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = Ledger(url)
    assert lines(made)["all"].totals.requests == 400
    made.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "FIVELEVERS_LEDGER_URL: 'nonsense'"),
        ("oracle://x/y", "FIVELEVERS_LEDGER_URL"),
        ("mysql://", "LEDGER"),
        ("postgresql+asyncpg://me:s3cret@db/x", r"asyncpg is not supported; write postgresql\+psycopg://"),
        ("postgresql:/me:s3cret@db/x", "FIVELEVERS_LEDGER_URL"),
    ],
)
def test_a_url_that_can_not_be_used_is_named(url: str, says: str) -> None:
    with pytest.raises(LedgerError, match=says) as told:
        Ledger(url)
    assert "s3cret" not in str(told.value)


def test_a_driver_that_is_not_installed_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"needs psycopg; pip install 'fivelevers\[postgres\]'"):
        Ledger("postgresql://db/ledger")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is no database " * 100)
    broken = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    with pytest.raises(LedgerError, match="can not be opened"):
        broken.create()
    broken.close()


def test_a_ledger_that_was_moved_away_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    made = Ledger(f"sqlite:///{path}")
    made.create()
    insert(made, attempt())
    path.rename(tmp_path / "old.db")
    with pytest.raises(LedgerError, match="does not take events"):
        insert(made, attempt())
    made.create()
    insert(made, attempt())
    assert lines(made)["all"].totals.requests == 1
    made.close()
    with sqlite3.connect(tmp_path / "old.db") as old:
        assert old.execute("select count(*) from attempt").fetchone() == (1,)
    old.close()


def test_a_levers_own_call_is_on_the_bill_and_answers_nothing(ledger: Ledger) -> None:
    dollar = Decimal(1)
    own = attempt(
        request_id="r", at=1002.0, charged_to="semantic_cache", cost_usd=dollar, cost_without_us_usd=Decimal(0),
        savings=(Saving("semantic_cache", Basis.OBSERVED, -dollar),),
    )  # fmt: skip
    insert(ledger, attempt(request_id="r", success=False), attempt(request_id="r", at=1001.0), own)
    insert(ledger, outcome("r", Outcome.SUCCESS))
    totals = lines(ledger)["all"].totals
    assert (totals.requests, totals.attempts, totals.successes) == (1, 2, 1)
    assert totals.cost == totals.known_cost == 2 * Decimal("0.00028") + dollar
    assert totals.superseded_cost == Decimal("0.00028")
    assert totals.saved == -dollar
