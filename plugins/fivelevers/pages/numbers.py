"""Numbers as people read them in a page: dollars, counts, shares, days, and the ticks of an axis."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from math import ceil, floor, log10

MINUS = "\N{MINUS SIGN}"
DAY_S = 86_400
_SMALL = 10  # dollars below which four decimals are shown


def dollars(amount: Decimal | float) -> str:
    """Dollars for a table or a sentence: four decimals below ten dollars, as in the terminal."""
    size = -amount if amount < 0 else amount
    text = f"${size:,.4f}" if size < _SMALL else f"${size:,.2f}"
    return f"{MINUS}{text}" if amount < 0 and text.strip("$0.") else text


def signed(amount: Decimal | float) -> str:
    """What a step adds or takes off."""
    text = dollars(amount)
    return text if text.startswith(MINUS) or not text.strip("$0.") else f"+{text}"


def percent(share: Decimal | float, digits: int = 1) -> str:
    """The share in 0..1 as a percentage."""
    return f"{100 * float(share):.{digits}f} %".replace("-", MINUS)


def count(number: float) -> str:
    """Counts in full below a hundred thousand, then in thousands, millions and billions."""
    if abs(number) >= 1e9:
        return f"{number / 1e9:,.2f} G"
    if abs(number) >= 1e6:
        return f"{number / 1e6:,.2f} M"
    if abs(number) >= 1e5:
        return f"{number / 1e3:,.0f} k"
    return f"{number:,.0f}"


def day(at: float) -> str:
    """The UTC day of a moment (seconds since the epoch)."""
    return f"{datetime.fromtimestamp(at, UTC):%-d %b}"


def hour(at: float) -> str:
    """Day and hour (UTC)."""
    return f"{datetime.fromtimestamp(at, UTC):%-d %b %H:%M}"


def full_day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%-d %B %Y}"


def ticks(top: float, about: int = 4) -> list[float]:
    """Round numbers from 0 to the first one that is not below ``top``."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / about
    size = 10.0 ** floor(log10(rough))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= rough * 0.999)
    return [step * at for at in range(ceil(top / step - 1e-9) + 1)]


def on_axis(amount: float, step: float) -> str:
    """Dollars at a tick, with the decimals that tell it from its neighbours."""
    if step >= 1000:
        return f"${amount / 1000:,.{_decimals(step / 1000)}f}k"
    return f"${amount:,.{_decimals(step)}f}"


def _decimals(step: float) -> int:
    exponent = Decimal(f"{step:.6g}").normalize().as_tuple().exponent
    return max(0, -int(exponent))
