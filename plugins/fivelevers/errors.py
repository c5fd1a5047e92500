"""What can go wrong, as types.

    FiveLeversError
    ├── PolicyError    a policy file says something that it may not say (one or more problems)
    ├── PriceError     a price map or a price override file can not be read or used (one or more problems)
    ├── ExportError    a provider's cost export can not be read (one or more problems)
    ├── AuditError     a log for the audit can not be opened
    ├── LedgerError    the spool or the ledger can not be written or read
    ├── ValidatorError a validator of a route can not judge an answer
    ├── ContentError   kept content can not be encrypted, decrypted or found
    ├── StoreError     Redis can not be written or read
    ├── BatchError     a provider's batch API did not do what it was asked
    ├── EmbedderError  a text can not be embedded
    ├── CalibrationError  a calibration, or what it shall be made of, can not be used
    └── StackError     the embedded stack can not be started or stopped

A file from outside is read to its end before it is refused: its error carries every `Problem` found, not the first.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Self

_LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where it stands, what stands there, which rule it breaks and what to write instead.

    `path` is dotted, from the root of the file (`routes.chat.semantic_cache.max_wrong`); `line` counts from 1.
    """

    path: str
    value: object
    rule: str
    fix: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self._place()}{path}{_shown(self.value)} {self.rule}; {self.fix}"

    def _place(self) -> str:
        if self.file is None:
            return ""
        return f"{self.file}: " if self.line is None else f"{self.file}:{self.line}: "


def _shown(value: object) -> str:
    """The value as its author would know it again, cut where it would fill the screen; a path is of no use in part."""
    if isinstance(value, PurePath):
        return repr(str(value))
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


class FiveLeversError(Exception):
    """The root: whoever catches this catches every error that this package raises on purpose."""


class _FileError(FiveLeversError):
    """A file was refused; `problems` says why, one line each in the message."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    @classmethod
    def of(cls, path: str, value: object, rule: str, fix: str, *, file: str | None = None) -> Self:
        """The error for a single problem."""
        return cls((Problem(path, value, rule, fix, file),))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class PolicyError(_FileError):
    """The policy file breaks one or more rules."""


class PriceError(_FileError):
    """A price map or price override file breaks one or more rules."""


class ExportError(_FileError):
    """A provider's cost export can not be read or used."""


class AuditError(_FileError):
    """A log can not be opened, or is of no use to what was asked."""


class LedgerError(FiveLeversError):
    """The spool or the ledger can not be written or read."""


class BatchError(FiveLeversError):
    """``failure``: what is known of the call then, a word of `levers.batch.lifecycle.Failure`."""

    def __init__(self, message: str, failure: str) -> None:
        super().__init__(message)
        self.failure = failure


class StoreError(FiveLeversError):
    """Redis can not be written or read."""


class EmbedderError(FiveLeversError):
    """A text can not be embedded: the embedder is missing, does not answer, or answers with another dimension."""


class CalibrationError(FiveLeversError):
    """A calibration, or what one shall be made of, can not be used."""


class QuantizationError(FiveLeversError):
    """A checkpoint, a server or a gate's evidence can not be used."""


class ServerError(QuantizationError):
    """A model's server does not answer, or not as such a server does. ``status``: that of HTTP, where it refuses."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ValidatorError(FiveLeversError):
    """A validator could not judge; it names the validator and says nothing of the answer."""


class ContentError(FiveLeversError):
    """Kept content can not be encrypted, decrypted or found."""


class FilterError(FiveLeversError):
    """Envoy's filter can not listen where it shall."""


class ProxyError(FiveLeversError):
    """The LiteLLM proxy does not answer, or breaks off."""


class ProxyUnreachableError(ProxyError):
    """There is no way to the proxy: nothing was asked."""


class StackError(FiveLeversError):
    """The embedded stack can not be started or stopped."""
