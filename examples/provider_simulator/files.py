"""Uploaded files, and those that batches leave behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from examples.provider_simulator.errors import ApiError

MAX_BYTES = 1024**3
KEPT_S = 30 * 86_400.0  # https://developers.openai.com/api/reference/resources/files: purpose batch, without a policy


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Times in seconds since the epoch."""

    id: str
    workspace: str
    filename: str
    purpose: str
    content: bytes
    created_at: float
    expires_at: float


class Files:
    """By id; a file that would be more than the simulator holds is refused, none is forgotten before its time."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._bytes = 0

    def add(
        self, workspace: str, filename: str, purpose: str, content: bytes, *, now: float, kept_s: float = KEPT_S
    ) -> StoredFile:
        self._drop_expired(now)
        if self._bytes + len(content) > MAX_BYTES:
            raise ApiError(400, f"The simulator holds {MAX_BYTES} bytes of files; DELETE some, or POST /sim/reset")
        file = StoredFile(f"file-{uuid4().hex[:24]}", workspace, filename, purpose, content, now, now + kept_s)
        self._files[file.id] = file
        self._bytes += len(content)
        return file

    def find(self, file_id: str, workspace: str, now: float) -> StoredFile:
        file = self._files.get(file_id)
        if file is None or file.workspace != workspace or file.expires_at <= now:
            raise ApiError(404, f"No such File object: {file_id}", param="id")
        return file

    def newest_first(self, workspace: str, now: float) -> Iterator[StoredFile]:
        for file in reversed(self._files.values()):
            if file.workspace == workspace and file.expires_at > now:
                yield file

    def delete(self, file: StoredFile) -> None:
        if self._files.pop(file.id, None):
            self._bytes -= len(file.content)

    def _drop_expired(self, now: float) -> None:
        for file in [file for file in self._files.values() if file.expires_at <= now]:
            self.delete(file)
