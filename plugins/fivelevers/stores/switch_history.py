"""Who switched what, when and why: rows that are only ever added, in the ledger's database."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, desc, select

from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, switches
from fivelevers.switch import ANY, Action, PolicyChange, Switch

_POLICY = "policy"

_log = logging.getLogger("fivelevers.switches")

Stamp = tuple[int, int, int]


def read(ledger: Ledger, since: float = 0.0) -> list[Switch]:
    """Every action at ``since`` or later. Raises LedgerError."""
    query = select(switches).where(switches.c.at >= since, switches.c.action != _POLICY)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return [_switch(row) for row in connection.execute(query).mappings()]


def add(ledger: Ledger, actions: Iterable[Switch]) -> None:
    """Keep these, each once however often it comes. Raises LedgerError."""
    rows: list[dict[str, Any]] = [
        {**asdict(switch), "action": switch.action.value, "detail": None} for switch in actions
    ]
    if rows:
        _add(ledger, rows)


def stamp(ledger: Ledger) -> Stamp:
    """What differs once a switch was added to a SQLite ledger, or it is another file: two stats, no query."""
    (inode, _), renewed = _seen(str(ledger.engine.url.database)), _seen(_stamp_file(ledger))
    return inode, *renewed


def _add(ledger: Ledger, rows: list[dict[str, Any]]) -> None:
    ledger.add(switches, rows)
    if ledger.engine.dialect.name == "sqlite":
        try:
            _renew(Path(_stamp_file(ledger)))
        except OSError as error:
            _log.warning("other processes see this switch up to 30 s late: %s", error)


def _stamp_file(ledger: Ledger) -> str:
    return f"{ledger.engine.url.database}-switched"


def _renew(path: Path) -> None:
    # Replaced, not written: another user's process may have made it.
    new = path.with_name(f"{path.name}-{uuid.uuid4().hex}")
    new.touch()
    try:
        new.replace(path)
    except OSError:
        new.unlink()
        raise


def _seen(path: str) -> tuple[int, int]:
    """(inode, time of change); zeros where there is no such file."""
    try:
        stat = os.stat(path)
    except OSError:
        return 0, 0
    return stat.st_ino, stat.st_mtime_ns


def last_policy(ledger: Ledger) -> PolicyChange | None:
    """The policy that came into force last, as far as anybody recorded it. Raises LedgerError."""
    query = select(switches).where(switches.c.action == _POLICY).order_by(desc(switches.c.at)).limit(1)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    return _policy_change(row) if row else None


def follow_policy(ledger: Ledger, new: str, changes: tuple[str, ...], *, actor: str, now: float) -> PolicyChange:
    """Record that the policy ``new`` came into force, unless that is what was recorded last. Raises LedgerError.

    The id is a hash over the change before: of all the workers that notice one change, the first one records it.
    """
    last = last_policy(ledger)
    if last is not None and last.new == new:
        return last
    old, before, at = (last.new, last.event_id, max(now, last.at + 1e-3)) if last else (None, "", now)
    event_id = sha256(f"{before}:{new}".encode()).hexdigest()[:32]
    change = PolicyChange(at, event_id, actor, old, new, changes)
    row = {"event_id": event_id, "at": at, "action": _POLICY, "route": ANY, "lever": ANY, "actor": actor}
    detail = {"old": old, "new": new, "changes": changes}
    _add(ledger, [{**row, "reason": None, "detail": detail}])
    return change


def _switch(row: RowMapping) -> Switch:
    values: dict[str, Any] = {c.name: row[c.name] for c in switches.columns if c.name != "detail"}
    return Switch(**{**values, "action": Action(values["action"])})


def _policy_change(row: RowMapping) -> PolicyChange:
    detail = row["detail"]
    return PolicyChange(
        row["at"], row["event_id"], row["actor"], detail["old"], detail["new"], tuple(detail["changes"])
    )
