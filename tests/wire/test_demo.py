"""The demo as a newcomer runs it, on a part of its traffic."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_reports_and_agrees_with_the_bill(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fivelevers", "demo", "--limit", "120"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "COLUMNS": "80"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = ("120 requests", "What it cost", "support", "$/1k good", "3 Batch lane", "The ledger agrees with the bill")
    for expected in told:
        assert expected in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert not list(tmp_path.glob("fivelevers-demo-*"))
