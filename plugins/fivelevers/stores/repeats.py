"""Repeats in the ledger: found in the transaction that inserts an attempt, whichever of the two comes first.

A repeat is no event of its own: it follows from the attempts, and metering/repeats.py says which ones it follows from.
So what was said of a request is said again, or taken back, whenever an attempt arrives that could change it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256

from sqlalchemy import Connection, and_, bindparam, delete, func, select

from fivelevers.metering.event import Attempt, OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.metering.repeats import Copy, repeated
from fivelevers.stores.ledger import attempts, outcomes

_ADVISORY_LOCK = int.from_bytes(b"repeats", "big")

# Built once: building a query takes longer than running it.
_NEAR = and_(
    attempts.c.session == bindparam("the_session"),
    attempts.c.digest == bindparam("the_digest"),
    attempts.c.tenant == bindparam("the_tenant"),
    attempts.c.route == bindparam("the_route"),
    attempts.c.repeat_window_s.is_not(None),
    attempts.c.at >= bindparam("ended_from"),
    attempts.c.asked_at <= bindparam("asked_until"),
)
_SPAN = (func.min(attempts.c.asked_at), func.max(attempts.c.at), func.max(attempts.c.repeat_window_s))
_COPIES = select(attempts.c.request_id, *_SPAN).where(_NEAR).group_by(attempts.c.request_id)
_SAID = select(outcomes.c.request_id, outcomes.c.event_id, outcomes.c.at).where(
    outcomes.c.source == Source.REPEAT.value,
    outcomes.c.request_id.in_(select(attempts.c.request_id).where(_NEAR)),
)


def review(connection: Connection, inserted: Iterable[Attempt]) -> Iterator[OutcomeSeen]:
    """Delete what the inserted attempts make untrue; yields what they make true."""
    groups: defaultdict[tuple[str, str, str, str], list[Attempt]] = defaultdict(list)
    for attempt in inserted:
        if attempt.repeat_window_s is not None:
            groups[attempt.session, attempt.digest, attempt.tenant, attempt.route].append(attempt)
    if groups and connection.dialect.name == "postgresql":
        # Of two drainers with one half of a repeat each, the later one must see what the earlier one inserted.
        connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    for group in groups.values():
        yield from _of_group(connection, group)


def _of_group(connection: Connection, group: list[Attempt]) -> Iterator[OutcomeSeen]:
    near, last = _near(group), max(attempt.at for attempt in group)
    copies = [Copy(*row) for row in connection.execute(_COPIES, near)]
    if len(copies) < 2:
        return
    # An answer that ended after the last of these attempts may have repeats outside of what was looked at.
    ended = {copy.request_id: copy.ended_at for copy in copies if copy.ended_at <= last}
    found = (_outcome(name, ended[name], copy) for name, copy in repeated(copies).items() if name in ended)
    wanted = {seen.event_id: seen for seen in found}
    said = _said(connection, near, ended)
    for event_id, at in said.items():
        if event_id not in wanted or wanted[event_id].at != at:
            connection.execute(delete(outcomes).where(outcomes.c.event_id == event_id))
    yield from (seen for event_id, seen in wanted.items() if said.get(event_id) != seen.at)


def _near(group: list[Attempt]) -> dict[str, str | float]:
    """Where to find all copies that a repeat which these attempts take part in may depend on: the values of `_NEAR`."""
    one, window_s = group[0], max(attempt.repeat_window_s or 0.0 for attempt in group)
    return {
        "the_session": one.session,
        "the_digest": one.digest,
        "the_tenant": one.tenant,
        "the_route": one.route,
        "ended_from": min(attempt.asked_at for attempt in group) - window_s,
        "asked_until": max(attempt.at for attempt in group) + window_s,
    }


def _said(connection: Connection, near: dict[str, str | float], requests: Iterable[str]) -> dict[str, float]:
    """Of the repeats in the ledger, those of ``requests``: event id -> time."""
    wanted = set(requests)
    return {row.event_id: row.at for row in connection.execute(_SAID, near) if row.request_id in wanted}


def _outcome(request_id: str, ended_at: float, copy: Copy) -> OutcomeSeen:
    # The same repeat has the same id, whoever finds it and however often.
    event_id = sha256(f"repeat:{request_id}".encode()).hexdigest()[:32]
    detail = f"asked again {copy.asked_at - ended_at:.1f} s after the answer had ended"
    return OutcomeSeen(event_id, request_id, copy.asked_at, Outcome.FAILURE, Source.REPEAT, detail)
