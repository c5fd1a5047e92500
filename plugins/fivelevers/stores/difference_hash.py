"""Where prompts part, in Redis: a hash for each day, to which every replica adds, and which goes by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any

import orjson
from redis.exceptions import RedisError

from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.difference import Section, What
from fivelevers.levers.prompt_cache.tally import Parted, Place
from fivelevers.metering.cost import PICODOLLAR
from fivelevers.stores.redis_connection import connect

KEY = "fl:differences:"
DAYS = 8  # days that a hash is kept: this one and a week
PLACES_A_DAY = 2000  # some 600 kB
_DAY_S = 86_400

_ADD = (files("fivelevers.stores") / "difference_hash.lua").read_text(encoding="utf-8")


class DifferenceHash:
    """The hashes behind a Redis URL. Each call raises StoreError when Redis does not answer in time."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)

    def add(self, sums: Mapping[Place, Parted], at: float) -> None:
        """Add to the sums of the day of ``at`` (seconds since the epoch): one atomic step."""
        values: list[str | int] = [PLACES_A_DAY, DAYS * _DAY_S]
        for place, parted in sums.items():
            values += [_name(place), parted.times, parted.tokens, int(parted.usd / PICODOLLAR), parted.offset]
        try:
            self._redis.eval(_ADD, 1, _key(at), *values)
        except RedisError as error:
            raise StoreError(f"redis: differences can not be added: {error}") from error

    def read(self, since: float, now: float) -> dict[Place, Parted]:
        """The sums of the days from that of ``since`` to that of ``now``."""
        found: defaultdict[Place, Parted] = defaultdict(Parted)
        try:
            for day in range(int(since // _DAY_S), int(now // _DAY_S) + 1):
                for name, fields in _by_place(self._redis.hgetall(_key(day * _DAY_S))).items():
                    place = _place(name)
                    if place is not None:
                        found[place] += _parted(fields)
        except RedisError as error:
            raise StoreError(f"redis: differences can not be read: {error}") from error
        return dict(found)

    def close(self) -> None:
        self._redis.close()


def _key(at: float) -> str:
    return f"{KEY}{int(at // _DAY_S)}"


def _name(place: Place) -> str:
    parts = (place.route, place.model, place.section.value, place.segment, place.what.value, place.parameter)
    return orjson.dumps(parts).decode()


def _place(name: str) -> Place | None:
    """None for what no release of ours wrote: one damaged field must not hide the others."""
    try:
        route, model, section, segment, what, parameter = orjson.loads(name)
        return Place(route, model, Section(section), int(segment), What(what), parameter)
    except (TypeError, ValueError):
        return None


def _by_place(fields: Mapping[Any, Any]) -> dict[str, dict[str, int]]:
    places: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for field, value in fields.items():
        name, _, kind = str(field).rpartition(":")
        if str(value).isdecimal():
            places[name][kind] = int(value)
    return places


def _parted(fields: Mapping[str, int]) -> Parted:
    usd = Decimal(fields.get("pusd", 0)) * PICODOLLAR
    return Parted(fields.get("times", 0), fields.get("tokens", 0), usd, fields.get("offset", 0))
