"""What `fivelevers off` and `fivelevers resume` share: two ways to the switches, and how what is off looks."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from urllib.parse import urlsplit

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fivelevers.cli.options import ledger_url
from fivelevers.errors import StoreError
from fivelevers.switch import Action, Switch

if TYPE_CHECKING:
    from fivelevers.stores.switches import Switches

_LIMIT_S = 15.0

RouteName = Annotated[str, typer.Option("--route", help="A route of the policy; * for all.")]
LeverName = Annotated[str, typer.Option("--lever", help="A lever, such as semantic_cache; * for all.")]
RedisUrl = Annotated[str, typer.Option("--redis", envvar="FIVELEVERS_REDIS_URL", help="The Redis of the proxies.")]
AnswersRedis = Annotated[
    str,
    typer.Option(
        "--redis",
        envvar=["FIVELEVERS_ANSWERS_REDIS_URL", "FIVELEVERS_REDIS_URL"],
        help="The Redis of the proxies' answers.",
    ),
]
ProxyUrl = Annotated[str, typer.Option("--url", help="Ask this proxy instead of Redis and the ledger.")]
Key = Annotated[str, typer.Option("--key", envvar="LITELLM_MASTER_KEY", help="With --url: the key of an admin.")]


@dataclass(frozen=True, slots=True)
class Line:
    """One place that is off, or was until now."""

    route: str
    lever: str
    kind: str
    at: datetime
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """``done`` is what the command did, ``off`` what is off now, ``notes`` what the operator should know."""

    done: tuple[Line, ...]
    off: tuple[Line, ...]
    notes: tuple[str, ...]


class Way(Protocol):
    """A way to the switches. Each call raises StoreError when it leads nowhere."""

    def look(self) -> Told: ...
    def off(self, route: str, lever: str, reason: str) -> Told: ...
    def resume(self, route: str, lever: str, reason: str) -> Told: ...


@dataclass(frozen=True, slots=True)
class ByStores:
    """Through Redis and the ledger, either of which may be empty; no proxy needs to run."""

    redis_url: str
    ledger_url: str

    def look(self) -> Told:
        return self._do(lambda _: ())

    def off(self, route: str, lever: str, reason: str) -> Told:
        return self._do(lambda switches: switches.off(route, lever, actor=_operator(), reason=reason))

    def resume(self, route: str, lever: str, reason: str) -> Told:
        return self._do(lambda switches: switches.resume(route, lever, actor=_operator(), reason=reason or None))

    def _do(self, act: Callable[[Switches], tuple[Switch, ...]]) -> Told:
        from fivelevers.stores.switches import Switches  # loads SQLAlchemy and redis

        switches = Switches(self.redis_url, self.ledger_url)
        try:
            switches.look()
            done = act(switches)
            off = switches.look().standing
        finally:
            switches.close()
        return Told(_lines(done), _lines(off), tuple(_notes(switches, self.ledger_url)))


@dataclass(frozen=True, slots=True)
class ByProxy:
    """Through the endpoints of a running proxy, with an admin's key."""

    url: str
    key: str

    def look(self) -> Told:
        return self._ask("GET", "off")

    def off(self, route: str, lever: str, reason: str) -> Told:
        return self._ask("POST", "off", {"route": route, "lever": lever, "reason": reason})

    def resume(self, route: str, lever: str, reason: str) -> Told:
        return self._ask("POST", "resume", {"route": route, "lever": lever, "reason": reason or None})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Told:
        try:
            status, said = self._answer(method, path, json.dumps(body) if body else None)
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"{self.url}: {error}") from error
        if status != http.client.OK:
            raise StoreError(f"{self.url} answers {status}: {said[:500]}")
        try:
            told = json.loads(said)
            done, off = (tuple(_line(**place) for place in told[name]) for name in ("done", "off"))
            return Told(done, off, tuple(_proxy_notes(told)))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.url} does not answer as a proxy with fivelevers does: {said[:200]}") from error

    def _answer(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_LIMIT_S)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        try:
            connection.request(method, f"{parts.path.rstrip('/')}/fivelevers/v1/{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


def way(url: str, key: str, redis: str, ledger: str, state_dir: Path) -> Way:
    """The proxy at ``url`` where one is given, else the stores; StoreError where these would be new, empty ones."""
    if url:
        return ByProxy(url, key)
    wanted = ledger_url(ledger, state_dir)
    file = wanted.removeprefix("sqlite:///").partition("?")[0]
    there = file == wanted or Path(file).is_file()
    if not (redis or there):
        raise StoreError(
            f"there is no ledger {file}, and FIVELEVERS_REDIS_URL is not set: name those of the proxies with "
            "--state-dir, --ledger or --redis, or a proxy with --url"
        )
    return ByStores(redis, wanted if there else "")


def show(told: Told) -> None:
    """What is off now, and the notes."""
    console = Console(highlight=False)
    if told.off:
        console.print(_table(told.off))
    else:
        console.print("Nothing is switched off: every lever acts as the policy says.")
    for note in told.notes:
        console.print(Text(f"Note: {note}."))


def fail(command: str, error: Exception) -> typer.Exit:
    """Says why the command could not run; to be raised."""
    Console(stderr=True, highlight=False).print(f"fivelevers {command}: {error}", markup=False, soft_wrap=True)
    return typer.Exit(2)


def _operator() -> str:
    from fivelevers.stores.switches import operator

    return operator()


def _notes(switches: Switches, url: str) -> Iterator[str]:
    if not url:
        yield "no ledger is in reach, a proxy that reads this from Redis records it there"
    elif switches.states["ledger"] == "down":
        yield "the ledger does not answer, a proxy that reads this from Redis records it when it does"
    if switches.states["redis"] == "down":
        yield "Redis does not answer, so proxies read this from the ledger, those that do reach Redis within 5 s"
    elif switches.states["redis"] == "not configured" and not url.startswith("sqlite"):
        yield "FIVELEVERS_REDIS_URL is not set here, so proxies with a Redis read this from the ledger within 5 s"


def _proxy_notes(told: dict[str, Any]) -> Iterator[str]:
    for store in ("redis", "ledger"):
        if told[store] == "down":
            yield f"the proxy does not reach its {store}"
    if told["off_here"]:
        yield "that proxy was started with FIVELEVERS_OFF: no lever acts in it until it is started without"


def _lines(switches: Iterable[Switch]) -> tuple[Line, ...]:
    return tuple(
        Line(
            route=switch.route,
            lever=switch.lever,
            kind="retreat" if switch.action is Action.RETREAT else "off",
            at=datetime.fromtimestamp(switch.at, UTC),
            by=switch.actor,
            reason=switch.reason,
        )
        for switch in switches
    )


def _line(*, at: str, **place: Any) -> Line:
    return Line(at=datetime.fromisoformat(at), **place)


def _table(lines: Iterable[Line]) -> Table:
    table = Table(
        title="Switched off now", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name in ("route", "lever", "kind", "since (UTC)", "by", "why"):
        table.add_column(name, overflow="fold")
    for line in lines:
        since = line.at.strftime("%m-%d %H:%M:%S")
        table.add_row(*map(Text, (line.route, line.lever, line.kind, since, line.by, line.reason or "")))
    return table
