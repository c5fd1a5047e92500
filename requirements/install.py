"""Make `.venv` and install a set of locked requirements and the project: `python3 requirements/install.py demo|test`.

A second run finds its stamp and ends at once. `test` holds all of `demo`, so a venv for tests is never taken back to
`demo`. Several runs at a time are fine: one works, the others wait. The standard library alone, and no syntax that an
old Python 3 does not know before its version was checked.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
OLDEST = (3, 11)
SETS = ("demo", "test")  # each holds the ones before it
SHOWN_LINES = 30


def main(wanted: str) -> None:
    """Install, unless it is installed."""
    if wanted not in SETS:
        raise SystemExit(f"{wanted!r} is not a set of requirements; choose one of {', '.join(SETS)}")
    with_recent_python()
    fcntl.flock(os.open(ROOT, os.O_RDONLY), fcntl.LOCK_EX)  # the folder itself: no lock file to leave behind
    installed = read_stamp()
    target = max(wanted, installed.get("set", wanted), key=SETS.index)
    same_python = version_of(PYTHON) == python_version()
    if same_python and installed == stamp(target):
        return
    started = time.monotonic()
    say(f"Installing into {VENV.name} (a minute or two the first time) ...")
    install(target, fresh=not same_python)
    STAMP.write_text(json.dumps(stamp(target)))
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def with_recent_python() -> None:
    """Go on in a newer Python when this one is too old and a newer one is on the PATH."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606
    raise SystemExit(f"python3 is {python_version()}; this needs 3.11 or newer: make PYTHON=/path/to/python3.11 ...")


def install(target: str, *, fresh: bool) -> None:
    """The venv, the locked requirements, the project as an editable install."""
    STAMP.unlink(missing_ok=True)
    pip, without_pip = which_pip()
    run([sys.executable, "-m", "venv", *(["--clear"] if fresh else []), *without_pip, str(VENV)])
    pip += ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
    # The lock is complete, so nothing is left to resolve; old pips, asked to, take a newer release for an extra of a
    # locked package (`pydantic[email]`) and then miss its hash.
    run([*pip, "--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements" / f"{target}.txt")])
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])


def which_pip() -> tuple[list[str], list[str]]:
    """The pip command, and what to tell venv. On Debian without python3-venv the system's pip installs into ours."""
    if find_spec("ensurepip"):
        return [str(PYTHON), "-m", "pip"], []
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON)], ["--without-pip"]
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    raise SystemExit(f"{sys.executable} has neither ensurepip nor pip: apt install {package}, or make PYTHON=...")


def run(command: list[str]) -> None:
    """Run quietly; show the end of what it said when it fails. Ctrl-C and SIGTERM end all that it has started."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, env=env, start_new_session=True)  # noqa: S603
        try:
            status = child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        if status:
            said.seek(0)
            say("\n".join(said.read().decode(errors="replace").splitlines()[-SHOWN_LINES:]))
            raise SystemExit(f"failed with status {status}: {' '.join(command)}")


def stamp(name: str) -> dict[str, str]:
    """What must be equal for an installation to count as done."""
    files = (ROOT / "requirements" / f"{name}.txt", ROOT / "pyproject.toml")
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    return {"set": name, "digest": digest, "root": str(ROOT)}


def read_stamp() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found


def python_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def version_of(python: Path) -> str:
    """The version of another interpreter; empty when it does not start, as when what the venv was made from is gone."""
    ask = "import sys; print('.'.join(str(part) for part in sys.version_info[:3]))"
    try:
        return subprocess.run([python, "-c", ask], check=False, capture_output=True, text=True).stdout.strip()  # noqa: S603
    except OSError:
        return ""


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def on_signal(number: int, _: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, on_signal)
    main(sys.argv[1] if len(sys.argv) > 1 else "")
