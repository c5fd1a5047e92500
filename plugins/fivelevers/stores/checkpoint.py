"""The manifest of a checkpoint: what its files were when it was made, so that another one can not take its place.

``fivelevers-manifest.json`` beside the weights: sha256 and size of each file, one sha256 of all of them, the scheme,
the source with its own sha256 where it is a folder, and the versions that it was made with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final

from fivelevers.errors import QuantizationError

NAME: Final = "fivelevers-manifest.json"
VERSION: Final = 1
_FIX: Final = "make the checkpoint anew with `fivelevers fp8 recipe`"


@dataclass(frozen=True, slots=True)
class Manifest:
    """``files``: sha256 by name. ``source_sha256``: None where the source is no folder here."""

    sha256: str
    scheme: str
    source: str
    files: Mapping[str, str]
    source_sha256: str | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)


def size_of(folder: Path) -> int:
    """Bytes of all its files."""
    return sum(file.stat().st_size for file in _files(folder))


def hashes(folder: Path, told: Callable[[int], None] = lambda _: None) -> dict[str, str]:
    """sha256 of each file by its name in the folder; ``told`` hears of bytes. Raises QuantizationError, OSError."""
    found: dict[str, str] = {}
    for file in _files(folder):
        with file.open("rb") as content:
            found[file.relative_to(folder).as_posix()] = file_digest(content, "sha256").hexdigest()
        told(file.stat().st_size)
    if not any(name.endswith((".safetensors", ".bin", ".gguf")) for name in found):
        raise QuantizationError(f"{folder}: holds no weights; name the folder of a checkpoint")
    return found


def whole(files: Mapping[str, str]) -> str:
    """One sha256 of all files, whatever order a file system lists them in."""
    return sha256("".join(f"{files[name]}  {name}\n" for name in sorted(files)).encode()).hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Raises OSError."""
    beside = folder / f".{NAME}"
    beside.write_text(json.dumps({"version": VERSION, **asdict(manifest)}, indent=1) + "\n", encoding="utf-8")
    beside.replace(folder / NAME)


def read(folder: Path) -> Manifest:
    """As it was written; ``problem`` tells whether it still holds. Raises QuantizationError, OSError."""
    file = folder / NAME
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        version = found.pop("version")
        if version != VERSION:
            raise QuantizationError(f"{file}: version {version} is of another release; {_FIX}")
        return Manifest(**found)
    except FileNotFoundError as error:
        fix = f"write it with `fivelevers fp8 manifest {folder} --source MODEL`"
        raise QuantizationError(f"{file}: is not there; {fix}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise QuantizationError(f"{file}: can not be read: {error!r}; {_FIX}") from error


def problem(manifest: Manifest, files: Mapping[str, str]) -> str | None:
    """What is different from when it was made; None where nothing is."""
    for name in sorted({*manifest.files, *files}):
        if manifest.files.get(name) != files.get(name):
            what = "is gone" if name not in files else "came later" if name not in manifest.files else "has changed"
            return f"{name} {what}; {_FIX}"
    return None if whole(files) == manifest.sha256 else f"the manifest was edited; {_FIX}"


def _files(folder: Path) -> list[Path]:
    """Of the checkpoint itself: no manifest, nothing that a download left."""
    found = (file for file in folder.rglob("*") if file.is_file() and NAME not in file.name)
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))
