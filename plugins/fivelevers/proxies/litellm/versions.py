"""Which LiteLLM the hooks were tested on, and what is said where another one runs.

A LiteLLM outside the range may call hooks with other arguments, or no more. A plugin that then half works is worse than
none, so it steps aside as a whole (stand_aside.py).
"""

from __future__ import annotations

import os
import re
from importlib.metadata import PackageNotFoundError, version

SUPPORTED = ">=1.106.2,<1.107"  # as pyproject.toml has it
_FIRST, _BEFORE = (1, 106, 2), (1, 107, 0)
OVERRIDE = "FIVELEVERS_ANY_LITELLM"


def installed() -> str | None:
    """The version of the LiteLLM that is installed; None where it does not say."""
    try:
        return version("litellm")
    except PackageNotFoundError:
        return None


def supported(found: str | None) -> bool:
    """Whether the contract tests ran on this version (tests/wire/test_litellm_contract.py)."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", found or "")
    return numbers is not None and _FIRST <= tuple(int(part) for part in numbers.groups()) < _BEFORE


def refusal() -> str | None:
    """Why the plugin does not act in this process, in one line that says what to do; None where it does."""
    if supported(installed()) or os.environ.get(OVERRIDE) == "1":
        return None
    return _line(f"is not in the range {SUPPORTED} that this release was tested on", f", or set {OVERRIDE}=1")


def lacking(error: ImportError) -> str:
    """The same line where LiteLLM lacks something that the hooks import."""
    return _line(f"lacks what the plugin needs ({error})", "")


def _line(what: str, way_out: str) -> str:
    return (
        f"LiteLLM {installed() or 'of unknown version'} {what}: fivelevers steps aside, and every request passes as if "
        f"it were not there. Install LiteLLM {SUPPORTED} or a fivelevers release for yours{way_out}."
    )
