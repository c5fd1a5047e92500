"""The request that `fivelevers up` suggests."""

import shlex

import httpx

from fivelevers.cli.up import curl_example
from tests.wire.proxy import Proxy


def test_it_is_answered(quiet: Proxy) -> None:
    words = shlex.split(curl_example(quiet.stack))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    answer = httpx.post(words[1], headers=headers, content=words[words.index("-d") + 1], timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
