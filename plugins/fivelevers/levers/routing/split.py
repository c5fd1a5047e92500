"""Which prompts fit, which calibrate, which report: by hash, with near-duplicates on one side.

A prompt and its copy with another number in it are no two observations. Prompts whose words and pairs of words are
alike are one group; a group goes to one part as a whole, and calibration and report count one prompt of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from fivelevers.levers.routing.examples import Rows
from fivelevers.levers.routing.features import Features, Indices

ALIKE = 0.8  # of the words and pairs of two prompts together, the share that both have
_BANDS, _PER_BAND = 8, 4  # finds 99 % of the pairs at .8
_PRIME = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Split:
    train: Rows
    calibration: Rows
    report: Rows


def split(texts: Sequence[str], groups: Rows, shares: tuple[float, float], salt: str = "") -> Split:
    """``shares`` of train and of calibration; the rest reports. ``salt`` draws another split.

    A prompt keeps its part when others are added, unless one of them is nearly the same.
    """
    name: dict[int, str] = {}
    for text, group in zip(texts, groups, strict=True):
        digest = sha256(f"{salt}:{text}".encode("utf-8", "surrogatepass")).hexdigest()
        name[int(group)] = min(digest, name.get(int(group), digest))
    place = np.array([int(name[int(group)][:13], 16) / 16**13 for group in groups])
    train, calibration = shares
    second, third = (place >= train) & (place < train + calibration), place >= train + calibration
    return Split(np.flatnonzero(place < train), _firsts(second, groups), _firsts(third, groups))


def _firsts(part: NDArray[np.bool_], groups: Rows) -> Rows:
    """One row of each group."""
    rows = np.flatnonzero(part)
    return rows[np.sort(np.unique(groups[rows], return_index=True)[1])]


def groups_of(features: Sequence[Features]) -> Rows:
    """For every prompt the number of its group: that of the first prompt in it."""
    group = list(range(len(features)))

    def root(at: int) -> int:
        while group[at] != at:
            group[at] = group[group[at]]
            at = group[at]
        return at

    for first, second in _candidates([one.words for one in features]):
        a, b = sorted((root(first), root(second)))
        if a != b and _alike(features[first].words, features[second].words):
            group[b] = a
    return np.array([root(at) for at in range(len(features))])


def _alike(first: Indices, second: Indices) -> bool:
    both = np.intersect1d(first, second, assume_unique=True).size
    return both >= ALIKE * (first.size + second.size - both)


def _candidates(words: Sequence[Indices]) -> Iterator[tuple[int, int]]:
    """Pairs that agree in a band of their minimal hashes (Broder 1997), each with the first that has the band."""
    filled = np.array([at for at, one in enumerate(words) if one.size])
    if not filled.size:
        return
    flat = np.concatenate([words[at] for at in filled])
    starts = np.cumsum([0, *(words[at].size for at in filled)])[:-1]
    rng = np.random.default_rng(7)
    for _ in range(_BANDS):
        factors, shifts = rng.integers(1, _PRIME, _PER_BAND), rng.integers(0, _PRIME, _PER_BAND)
        hashed = [(flat * factor + shift) % _PRIME for factor, shift in zip(factors, shifts, strict=True)]
        least = np.stack([np.minimum.reduceat(one, starts) for one in hashed], axis=1)
        seen: dict[bytes, int] = {}
        for at, band in zip(filled, least, strict=True):
            first = seen.setdefault(band.tobytes(), int(at))
            if first != at:
                yield first, int(at)
