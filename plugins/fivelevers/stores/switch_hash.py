"""The switches in Redis: one hash, so that every replica sees a change with its next look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from importlib.resources import files

import orjson
from redis.exceptions import RedisError

from fivelevers.errors import StoreError
from fivelevers.stores.redis_connection import connect
from fivelevers.switch import Action, Switch

KEY = "fl:switches"

_PUT = (files("fivelevers.stores") / "switch_hash.lua").read_text(encoding="utf-8")


class SwitchHash:
    """The hash behind a Redis URL. Each call raises StoreError when Redis does not answer in time."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)

    def read(self) -> list[Switch]:
        try:
            values = self._redis.hgetall(KEY)
        except RedisError as error:
            raise StoreError(f"redis: switches can not be read: {error}") from error
        return [switch for value in values.values() if (switch := _decoded(str(value))) is not None]

    def put(self, switches: Iterable[Switch]) -> None:
        """Write these, each only where the hash has none or an earlier one of its place: one atomic step."""
        pairs = [text for switch in switches for text in ("/".join(switch.place), _encoded(switch))]
        try:
            self._redis.eval(_PUT, 1, KEY, *pairs)
        except RedisError as error:
            raise StoreError(f"redis: does not take switches: {error}") from error

    def close(self) -> None:
        self._redis.close()


def _encoded(switch: Switch) -> str:
    """The stamp as text that sorts as time does, then the switch as JSON."""
    return f"{switch.at:017.6f} {switch.event_id} {orjson.dumps(asdict(switch)).decode()}"


def _decoded(value: str) -> Switch | None:
    """None for what no release of ours wrote: one damaged field must not hide the others."""
    try:
        values = orjson.loads(value.split(" ", 2)[2])
        return Switch(**{**values, "action": Action(values["action"])})
    except (IndexError, KeyError, TypeError, ValueError):
        return None
