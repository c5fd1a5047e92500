"""The registrations of a policy: read before it comes into force and when they change, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fivelevers.levers.quantization.gated import Gated
from fivelevers.levers.quantization.verdict import Verdict
from fivelevers.policy import Policy, parse
from fivelevers.stores import gated
from fivelevers.stores.registrations import Registrations, load
from tests.unit.levers.quantization.registered import GATED


def policy(file: str = "chat.fp8") -> Policy:
    return parse(f"routes: [{{name: chat, match: {{model: c}}, levers: {{quantization: {{registration: {file}}}}}}}]")


def test_a_registration_is_known_by_its_checksum(tmp_path: Path) -> None:
    gated.write(tmp_path / "chat.fp8", GATED)
    found = Registrations(tmp_path)
    assert found.of("chat.fp8").problem == "its file was not read yet"
    found.look(policy())
    assert (found.of("chat.fp8").found, found.of("chat.fp8").problem) == (GATED, None)
    first = found.of("chat.fp8").name
    gated.write(tmp_path / "chat.fp8", replace(GATED, made_at=GATED.made_at + 1))
    found.look(policy())
    assert found.of("chat.fp8").name not in ("", first)  # deployments of the old one are bound to it no longer


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (replace(GATED, quality=Verdict.INCONCLUSIVE), "quality says inconclusive, economics pass"),
        (replace(GATED, economics=Verdict.FAIL), "quality says pass, economics fail"),
        (replace(GATED, checkpoint=""), "names no checkpoint"),
        (replace(GATED, rates=None), "has no prices"),
    ],
)
def test_a_gate_that_was_not_passed_lets_nothing_pass(tmp_path: Path, made: Gated, why: str) -> None:
    gated.write(tmp_path / "chat.fp8", made)
    assert why in (load(tmp_path / "chat.fp8").problem or "")


def test_what_is_missing_or_damaged_says_so(tmp_path: Path) -> None:
    file = tmp_path / "chat.fp8"
    assert "No such file" in (load(file).problem or "")
    gated.write(file, GATED)
    file.write_bytes(file.read_bytes().replace(b'"difference": 0.0', b'"difference": 0.9'))
    assert "its checksum differs" in (load(file).problem or "")
