"""The last openings of like requests, to compare the next one with: those of one route, model and tenant.

Openings come and go in several forms (an agent and its sub-agents), so the last few different ones are kept; the one
that has most in common with a new one is the one it should have equalled. Bounded in keys, openings and characters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from fivelevers.levers.prompt_cache.difference import Difference, difference, reach
from fivelevers.levers.prompt_cache.opening import Opening

KEYS, FORMS = 64, 4
CHARS_AT_MOST = 4_000_000  # in all
LIFETIME_S = 3600.0  # no provider that we mark for keeps an entry longer, so nothing older could have been read


@dataclass(slots=True)
class _Form:
    opening: Opening
    at: float


class LastOpenings:
    """What was seen last, by key. It holds text, in memory alone. One thread may ask ``repeats`` while one compares."""

    def __init__(self, keys: int = KEYS, forms: int = FORMS, chars: int = CHARS_AT_MOST) -> None:
        self._limits = keys, forms, chars
        self._by_key: OrderedDict[Hashable, OrderedDict[bytes, _Form]] = OrderedDict()
        self._chars = 0

    def repeats(self, key: Hashable, fingerprint: bytes, at: float) -> bool:
        """Whether this opening is one of those kept; then it is remembered as seen again. Costs next to nothing."""
        forms = self._by_key.get(key)
        form = forms.get(fingerprint) if forms else None
        if form is not None:
            form.at = at
        return form is not None

    def compare(self, key: Hashable, fingerprint: bytes, opening: Opening, at: float) -> Difference | None:
        """Keep an opening that was not seen lately, and tell where it leaves the one that is most like it.

        None where it was seen, where there is none to compare with, or nothing behind the difference could be read.
        """
        if self.repeats(key, fingerprint, at):
            return None
        forms = self._by_key.get(key) or OrderedDict[bytes, _Form]()
        live = [form.opening for form in forms.values() if form.at > at - LIFETIME_S]
        found = [told for kept in live if (told := difference(kept, opening)) is not None]
        self._keep(key, fingerprint, _Form(opening, at))
        # What both have in common; a common beginning counts twice, since it is what a cache goes by.
        nearest = max(found, key=lambda told: 2 * reach(opening, told) + told.lost_chars, default=None)
        return nearest if nearest is not None and nearest.lost_chars else None

    def _keep(self, key: Hashable, fingerprint: bytes, form: _Form) -> None:
        keys, each, chars = self._limits
        if form.opening.chars > chars // 4:
            return
        forms = self._by_key.setdefault(key, OrderedDict())
        self._by_key.move_to_end(key)
        forms[fingerprint] = form
        self._chars += form.opening.chars
        if len(forms) > each:
            self._drop(forms)
        while len(self._by_key) > keys or self._chars > chars:
            _, oldest = self._by_key.popitem(last=False)
            while oldest:
                self._drop(oldest)

    def _drop(self, forms: OrderedDict[bytes, _Form]) -> None:
        _, form = forms.popitem(last=False)
        self._chars -= form.opening.chars
