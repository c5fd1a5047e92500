"""Only the caller of a request can name it, and every worker and release can tell."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.proxies.litellm.identity import new_request_id, owns

KEYS = st.text(st.characters(), max_size=80)


@given(KEYS, KEYS)
def test_an_id_is_its_own_callers(key: str, other: str) -> None:
    request_id = new_request_id(key)
    assert owns(request_id, key)
    assert owns(request_id, other) == (key == other)
    assert not owns("no id", key)


@pytest.mark.parametrize("secret", ["sk-1234", "s" * 64, "s" * 65, "é"])
def test_the_code_is_hmac_with_the_master_key(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", secret)
    request_id = bytes.fromhex(new_request_id("k"))
    code = hmac.digest(secret.encode(), b"fivelevers request\0" + request_id[:10] + b"k", sha256)
    assert request_id[10:] == code[:6]
