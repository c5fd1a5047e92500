"""Content is in the ledger until its retention has passed, and then its bytes are gone."""

import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fivelevers.errors import ContentError
from fivelevers.meter import Meter
from fivelevers.metering.content import document
from fivelevers.metering.event import ContentKept, from_record, to_record
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Route
from fivelevers.stores.content import expire, expired, read
from fivelevers.stores.content_key import KEY, Keys, Sealer
from fivelevers.stores.ledger import Ledger

ENV = {KEY: b64encode(bytes(32)).decode()}
SUPPORT = Route(name="support", content="all")
NEVER = 4e9


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def content(request_id: str, text: str = "hello", env: dict[str, str] = ENV) -> ContentKept:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "user": "bob"}
    packed = document("chat", body, Output("hi", (ToolCall("look", "{}"),)))
    key_id, blob = Sealer(env).seal(packed, request_id)
    return ContentKept(request_id, 1000.0, "support", "team:a", None, NEVER, key_id, blob)


def keep(ledger: Ledger, *events: ContentKept) -> None:
    assert ledger.insert([to_record(event) for event in events]) == []


def keys() -> Keys:
    return Keys.from_environment(ENV)


def test_an_event_survives_the_spool() -> None:
    kept = content("r1")
    assert from_record(to_record(kept)) == kept
    with pytest.raises(ValueError, match="base64"):
        from_record(to_record(kept) | {"blob": "*"})


def test_what_was_kept_is_read_oldest_first_and_by_route(ledger: Ledger) -> None:
    keep(
        ledger,
        replace(content("r2", "second"), at=2000.0),
        content("r1", "first"),
        replace(content("r3"), route="coding"),
    )
    first, second = read(ledger, SUPPORT, 0.0, keys())
    assert (first.request_id, second.request_id) == ("r1", "r2")
    assert first.request == {"model": "m", "messages": [{"role": "user", "content": "first"}]}
    assert (first.api, first.tenant, first.left_out) == ("chat", "team:a", ("user",))
    assert first.answer == Output("hi", (ToolCall("look", "{}"),))
    assert [c.request_id for c in read(ledger, SUPPORT, 1500.0, keys())] == ["r2"]


def test_content_counts_once_however_often_it_comes(ledger: Ledger) -> None:
    keep(ledger, content("r1"), content("r1"))
    keep(ledger, content("r1"))
    assert len(list(read(ledger, SUPPORT, 0.0, keys()))) == 1


def test_a_reader_is_told_what_is_missing(ledger: Ledger) -> None:
    assert list(read(ledger, SUPPORT, 0.0, keys())) == []
    with pytest.raises(ContentError, match=r"routes\.support\.content: 'off'.*content: sample"):
        list(read(ledger, Route(name="support"), 0.0, keys()))
    keep(ledger, content("r1"))
    assert len(list(read(ledger, Route(name="support"), 0.0, keys()))) == 1  # switched off since: what is kept is kept
    with pytest.raises(ContentError, match=KEY):
        list(read(ledger, SUPPORT, 0.0, Keys.from_environment({})))


def test_past_its_retention_nothing_is_read_and_all_is_deleted(ledger: Ledger) -> None:
    now = time.time()
    keep(ledger, *(replace(content(f"old{n}"), expires_at=now - 1) for n in range(5)), content("new"))
    assert [c.request_id for c in read(ledger, SUPPORT, 0.0, keys())] == ["new"]
    assert expired(ledger, now) == 5
    assert [expire(ledger, now, at_most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert expired(ledger, now) == 0
    assert [c.request_id for c in read(ledger, SUPPORT, 0.0, keys())] == ["new"]


def test_expired_content_leaves_the_file_too(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.create()
    marker = b"marker-7f3a "
    keep(ledger, replace(content("r1"), blob=marker * 1000, key_id="ab", expires_at=1.0), content("r2"))

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))

    with ledger.engine.connect() as connection:  # into the file, not the write-ahead log alone
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with ledger.engine.connect() as reader:  # an open connection keeps the write-ahead log in being
        reader.exec_driver_sql("select 1")
        assert marker in on_disk()
        assert expire(ledger, 2.0) == 1
        assert marker not in on_disk()
    ledger.close()


def test_the_meter_deletes_what_has_expired(tmp_path: Path) -> None:
    meter = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    ledger = Ledger(meter.ledger_url)
    ledger.create()
    keep(ledger, replace(content("old"), expires_at=1.0))
    meter.record(content("new"))
    deadline = time.monotonic() + 20
    while (expired(ledger, 2.0) or not list(read(ledger, SUPPORT, 0.0, keys()))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert expired(ledger, 2.0) == 0
    assert [c.request_id for c in read(ledger, SUPPORT, 0.0, keys())] == ["new"]
    meter.close()
    ledger.close()
