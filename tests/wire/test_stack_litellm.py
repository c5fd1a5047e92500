"""The stack with the real LiteLLM, started once."""

import shlex
import time
from pathlib import Path

import httpx

from fivelevers.cli.up import curl_example
from fivelevers.embedded.stack import Stack
from tests.wire.stack_host import family, still_alive


def test_litellm_with_two_workers_survives_the_loss_of_one(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=2) as running:
        before = running.worker_pids
        assert len(before) == 2
        answer = send(curl_example(running))
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
        killed = running.kill_worker()
        deadline = time.monotonic() + 60
        while (now := running.worker_pids) and (killed in now or len(now) < 2) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert killed not in now
        assert len(now) == 2
        running.check()
        assert send(curl_example(running)).status_code == 200
        pids = [pid for each in running.pids.values() for pid in family(each)]
    assert not still_alive(pids, 0)


def send(curl: str) -> httpx.Response:
    """What curl would do with this command line."""
    words = shlex.split(curl)
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    return httpx.post(words[1], headers=headers, content=words[words.index("-d") + 1], timeout=60)
