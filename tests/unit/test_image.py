"""What the Dockerfile relies on: the wheel builds from what is copied, holds the package alone, and runs anywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fivelevers.proxies.litellm.versions import SUPPORTED, supported

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COPIED = [name for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.M) for name in line.split()[:-1]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network, from the copied files alone."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=240)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "plugins/fivelevers"
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert held == {path.relative_to(ROOT / "plugins").as_posix() for path in files}


def test_the_wheel_works_in_a_proxy_far_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "from fivelevers.proxies.litellm import callback as c; print(c.__file__, type(c.plugin).__name__)"
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "site"), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    file, kind = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert kind == "FiveLevers"


def test_docker_is_sent_what_is_copied() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == set(COPIED)


def test_its_folders_and_its_health_check_are_the_plugins() -> None:
    variables = dict(re.findall(r"(FIVELEVERS_\w+)=(\S+)", DOCKERFILE))
    assert variables["FIVELEVERS_STATE_DIR"] in re.findall(r'^VOLUME \["(.+)"\]', DOCKERFILE, re.M)
    assert Path(variables["FIVELEVERS_POLICY"]).name in {path.name for path in (ROOT / "litellm_config").iterdir()}
    served = (ROOT / "plugins/fivelevers/proxies/litellm/http.py").read_text()
    assert "/fivelevers/v1/health" in DOCKERFILE
    assert 'PREFIX = "/fivelevers/v1"' in served
    assert '"/health"' in served


def test_the_image_is_of_a_version_that_was_tested() -> None:
    (version,) = re.findall(r"^ARG LITELLM_IMAGE=\S+:v([\d.]+)", DOCKERFILE, re.M)
    assert supported(version)
    assert SUPPORTED in DOCKERFILE
