from pathlib import Path

import pytest

from examples.traffic.keys import load_keys
from examples.traffic.problems import TrafficError
from examples.traffic.workload import load_all


def test_every_tenant_of_the_traffic_has_a_key_of_its_own() -> None:
    keys = load_keys()
    tenants = {request.tenant for request in load_all()}
    assert tenants < keys.keys()
    assert len(tenants) >= 4
    assert len(set(keys.values())) == len(keys)
    assert all(key.startswith("sk-demo-") for key in keys.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("keys: [{key_alias: a}]", r"keys\[0\].key: missing"),
        ("keys: [{key: sk, key_alias: a}, {key: sk}]", r"keys\[1\].key_alias: missing"),
        ("keys: [x]", r"keys\[0\].key_alias: missing"),
        ("{}", "keys: missing"),
        ("- a", "keys: missing"),
        ("{", "while parsing"),
    ],
)
def test_a_bad_key_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TrafficError, match=message):
        load_keys(path)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match=r"nowhere\.yaml"):
        load_keys(tmp_path / "nowhere.yaml")
