"""Content is encrypted with the key that is given; a bad key is named and never shown."""

import logging
from base64 import b64encode

import pytest

from fivelevers.errors import ContentError
from fivelevers.stores.content_key import KEY, OLD_KEYS, ContentKey, Keys, Sealer, current_key

FIRST, SECOND = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))
TEXT = b"the answer is forty-two"


def sealed(environment: dict[str, str]) -> tuple[str | None, bytes]:
    return Sealer(environment).seal(TEXT, "r1")


def test_what_was_sealed_opens_again_and_shows_nothing() -> None:
    key_id, blob = sealed({KEY: FIRST})
    assert key_id == ContentKey.parse(FIRST, KEY).id
    assert b"forty" not in blob
    assert Keys.from_environment({KEY: FIRST}).open(key_id, blob, "r1") == TEXT


def test_the_same_text_is_never_encrypted_alike() -> None:
    assert sealed({KEY: FIRST})[1] != sealed({KEY: FIRST})[1]


def test_without_a_key_it_is_kept_in_clear_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    sealer = Sealer({KEY: " "})
    with caplog.at_level(logging.WARNING):
        found = [sealer.seal(TEXT, f"r{n}") for n in range(3)]
    assert len(caplog.records) == 1
    assert KEY in caplog.text
    assert [Keys.from_environment({}).open(key_id, blob, "r") for key_id, blob in found] == [TEXT] * 3


def test_an_old_key_still_opens_and_seals_nothing_new() -> None:
    old, blob = sealed({KEY: FIRST})
    rotated = {KEY: SECOND, OLD_KEYS: f"{FIRST},"}
    assert Keys.from_environment(rotated).open(old, blob, "r1") == TEXT
    assert sealed(rotated)[0] == ContentKey.parse(SECOND, KEY).id


def test_a_key_that_is_not_here_is_named() -> None:
    key_id, blob = sealed({KEY: FIRST})
    for environment in ({}, {KEY: SECOND}):
        with pytest.raises(ContentError, match=f"{key_id}.*{KEY}.*{OLD_KEYS}"):
            Keys.from_environment(environment).open(key_id, blob, "r1")


def test_content_opens_only_as_its_own_request_s_and_unchanged() -> None:
    keys = Keys.from_environment({KEY: FIRST})
    key_id, blob = sealed({KEY: FIRST})
    for request_id, damaged in (("r2", blob), ("r1", blob[:-1]), ("r1", bytes([blob[0] ^ 1]) + blob[1:])):
        with pytest.raises(ContentError, match=f"content of request {request_id}: damaged"):
            keys.open(key_id, damaged, request_id)
    with pytest.raises(ContentError, match="damaged"):
        keys.open(None, b"no zlib", "r1")


@pytest.mark.parametrize("bad", ["a passphrase", "c2VjcmV0", FIRST + FIRST])
def test_a_bad_key_is_refused_with_what_to_do_and_is_not_shown(bad: str) -> None:
    for attempt in (lambda: current_key({KEY: bad}), lambda: sealed({KEY: bad})):
        with pytest.raises(ContentError, match=f"^{KEY}: .*openssl rand -base64 32") as caught:
            attempt()
        assert bad not in str(caught.value)
    with pytest.raises(ContentError, match=f"^{OLD_KEYS}\\[1\\]: "):
        Keys.from_environment({OLD_KEYS: f"{FIRST},{bad}"})


def test_a_key_does_not_print() -> None:
    assert "secret" not in repr(ContentKey.parse(FIRST, KEY))
