"""What a figure was measured on and with."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

_PACKAGES = (
    "fivelevers",
    "litellm",
    "uvicorn",
    "pydantic",
    "sqlalchemy",
    "orjson",
    "prometheus-client",
    "redis",
    "redisvl",
)


def about(module: str) -> dict[str, str]:
    """Machine, versions and the command that measures it again."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()} "
        f"{platform.release()}, load {os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
