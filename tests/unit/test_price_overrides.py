from decimal import Decimal
from pathlib import Path

import pytest

from fivelevers.errors import PriceError
from fivelevers.price_overrides import load_overrides
from fivelevers.prices import Kind, Override


def load(tmp_path: Path, text: str) -> tuple[Override, ...]:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    return load_overrides(file)


def test_every_form(tmp_path: Path) -> None:
    by_id, provisioned, own = load(
        tmp_path,
        """
overrides:
  - {deployment: eu-1, discount: 0.12}
  - {provider: azure, model: "gpt-*", zero_marginal: true}
  - {provider: hosted_vllm, rates: {input: 0.2, output: 1}, batch_rates: {input: .1}}
""",
    )
    assert by_id == Override("prices.yaml, entry 1", deployment="eu-1", discount=Decimal("0.12"))
    assert (provisioned.provider, provisioned.model) == ("azure", "gpt-*")
    assert provisioned.terms is not None
    assert provisioned.terms.live == provisioned.terms.batch == dict.fromkeys(Kind, Decimal(0))
    assert (own.model, own.discount) == ("*", None)
    assert own.terms is not None
    assert own.terms.live == {Kind.INPUT: Decimal("0.0000002"), Kind.OUTPUT: Decimal("0.000001")}
    assert own.terms.batch == {Kind.INPUT: Decimal("0.0000001")}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{deployment: a, discount: 1.4}", "overrides.0.discount: 1.4 is not less than or equal to 1; use a share"),
        ("{deployment: a, discuont: 0.1}", "overrides.0.discuont: 0.1 stands under an unknown key; did you mean disc"),
        ("{deployment: a, rates: {input: -1}}", "overrides.0.rates.input: -1 is not greater than or equal to 0; give"),
        ("{deployment: a, rates: {input: .nan}}", "overrides.0.rates.input: '.nan' is not a number; give USD"),
        ("{deployment: a, rates: {input: '1'}}", "overrides.0.rates.input: '1' is not a number; give USD"),
        ("{deployment: a, rates: {inptu: 1}}", "overrides.0.rates.inptu: 'inptu' is not 'input', 'cache_read'"),
        ("{deployment: a}", "states no terms, or more than one; give one of discount, rates, zero_marginal"),
        ("{deployment: a, discount: 0.1, zero_marginal: true}", "states no terms, or more than one"),
        ("{deployment: a, zero_marginal: false}", "overrides.0.zero_marginal: False is not True; write true, or"),
        ("{discount: 0.1, batch_rates: {input: 1}, model: m}", "has batch_rates without rates; give both"),
        ("{discount: 0.1}", "matches nothing, or in two ways; give deployment, or provider and model"),
        ("{discount: 0.1, deployment: a, model: m}", "matches nothing, or in two ways"),
        ("{discount: 0.1, model: 4}", "overrides.0.model: 4 is not a valid string; name a model"),
        ("4", "overrides.0: 4 is not a mapping; list the entries"),
    ],
)
def test_a_mistake_is_named_with_its_fix(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(PriceError) as refused:
        load(tmp_path, f"overrides:\n  - {entry}\n")
    assert told in str(refused.value)
    assert "prices.yaml: overrides.0" in str(refused.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PriceError) as refused:
        load(tmp_path, "overrides: [{discount: 0.1}, {model: m}]\noveride: 1")
    assert len(refused.value.problems) == 3
    assert "did you mean overrides?" in str(refused.value)


@pytest.mark.parametrize("text", ["{", "", "- 3"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PriceError, match=r"prices\.yaml"):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match=r"nowhere\.yaml.*name a YAML file"):
        load_overrides(tmp_path / "nowhere.yaml")
