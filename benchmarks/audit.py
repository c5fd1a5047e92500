"""How long `fivelevers audit` takes over a large log, and how much memory, its processes together.

    python -m benchmarks.audit --rows 1000000 --json OUT [--seed 1] [--quick]

The log is made first, in a file that goes again: JSON lines of requests with their responses, prompts of 2 kB. Then the
command runs as people run it, once over a tenth of the rows and once over all of them, whether it is linear. Memory is
the sum of what its processes have resident, looked at four times a second: what they share counts for each of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.rig import audit_log
from benchmarks.rig.machine import about

TARGET_ROWS, TARGET_S, TARGET_MB = 1_000_000, 300.0, 2000.0
QUICK_ROWS = 5000
_LOOK_S = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the log (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows: whether it runs, no figures")
    args = parser.parse_args()
    rows = QUICK_ROWS if args.quick else args.rows
    with tempfile.TemporaryDirectory() as folder:
        tenth = measured(Path(folder), rows // 10, args.seed)
        whole = measured(Path(folder), rows, args.seed)
    result = {
        "seconds": whole["seconds"],
        "cpu_seconds": whole["cpu_seconds"],
        "peak_rss_mb": whole["peak_rss_mb"],
        "rows_per_s": round(rows / whole["seconds"]),
        f"seconds_at_{_short(rows // 10)}": tenth["seconds"],
        "rows": rows,
        "calls": whole["calls"],
        "log_mb": whole["log_mb"],
        "seed": args.seed,
        **about("benchmarks.audit"),
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    met = whole["seconds"] <= TARGET_S and whole["peak_rss_mb"] <= TARGET_MB
    told = f"target: {TARGET_ROWS:,} rows in {TARGET_S:.0f} s and {TARGET_MB:.0f} MB"
    print(f"{told}: {'not of so few rows' if rows < TARGET_ROWS else 'met' if met else 'MISSED'}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _short(rows: int) -> str:
    return f"{rows // 1000}k" if rows >= 1000 else str(rows)


def measured(folder: Path, rows: int, seed: int) -> dict[str, Any]:
    """The command over a log of so many rows, in processes of its own."""
    log, out = folder / "log.jsonl", folder / "out.json"
    audit_log.write(log, rows, seed)
    command = [sys.executable, "-m", "fivelevers", "audit", str(log), "--json"]
    started, peak, before = time.perf_counter(), 0.0, _cpu_s()
    with out.open("wb") as told, subprocess.Popen(command, stdout=told) as process:
        while process.poll() is None:
            peak = max(peak, _resident_mb(process.pid))
            time.sleep(_LOOK_S)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    calls = json.loads(out.read_bytes())["calls"]
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(_cpu_s() - before, 1),
        "peak_rss_mb": round(peak),
        "calls": calls,
        "log_mb": round(log.stat().st_size / 1e6),
    }


def _cpu_s() -> float:
    """Of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident_mb(process: int) -> float:
    """Of a process and those that it started."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except (OSError, IndexError):
        return 0.0
    return pages * 4096 / 1e6 + sum(_resident_mb(int(child)) for child in children)


if __name__ == "__main__":
    main()
