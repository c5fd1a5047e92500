"""An artifact is read as it was written, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.features import features_of
from fivelevers.stores import route_artifact
from tests.unit.levers.routing.test_artifact import ARTIFACT


def test_it_decides_as_before(tmp_path: Path) -> None:
    path = tmp_path / "support.route"
    size = route_artifact.write(path, ARTIFACT)
    assert size == path.stat().st_size < 500_000
    found = route_artifact.read(path)
    assert asdict(found.certificate) == asdict(ARTIFACT.certificate)
    assert (found.prices, found.report, found.mix) == (ARTIFACT.prices, ARTIFACT.report, ARTIFACT.mix)
    assert (found.made_at, found.fitted_on) == (ARTIFACT.made_at, ARTIFACT.fitted_on)
    for route in ("greetings", "law", "taxes"):
        prompt = features_of("hello court piano")
        assert found.decide(prompt, route, 17) == ARTIFACT.decide(prompt, route, 17)
    assert np.array_equal(found.model.weights.words, ARTIFACT.model.weights.words)
    assert [file.name for file in tmp_path.iterdir()] == ["support.route"]


def test_people_can_read_its_head(tmp_path: Path) -> None:
    path = tmp_path / "support.route"
    route_artifact.write(path, ARTIFACT)
    head = path.read_bytes()[:1500].decode("utf-8")
    for line in ('"verdict": "route"', '"epsilon": 0.03', '"confidence": 0.95', '"strong": "strong"'):
        assert line in head
    assert '"input_usd_per_token": "0.00000015"' in head


@pytest.mark.parametrize("at", [30, 200, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "support.route"
    route_artifact.write(path, ARTIFACT)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match="checksum differs"):
        route_artifact.read(path)


def test_other_files_and_releases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "support.route"
    path.write_text("hello\n")
    with pytest.raises(CalibrationError, match="is no routing artifact"):
        route_artifact.read(path)
    path.write_text("fivelevers-route 2 sha256:00\n")
    with pytest.raises(CalibrationError, match="another release"):
        route_artifact.read(path)
    with pytest.raises(OSError, match="No such file"):
        route_artifact.read(tmp_path / "none")
