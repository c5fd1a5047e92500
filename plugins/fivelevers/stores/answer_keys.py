"""Where lever 2 keeps what. All that belongs to a scope shares a hash tag: ``fl:{g7}:q:<scope>:<question>``.

So scripts and vector searches of a decision stay on one shard of a cluster. Scopes are spread over ``BUCKETS`` tags.
"""

from __future__ import annotations

BUCKETS = 16  # fixed for good: another number finds no entry again
EVERY_QUESTION, EVERY_ANSWER = "fl:{g*}:q:*", "fl:{g*}:a:*"


def bucket_of(scope: str) -> str:
    return f"{{g{int(scope[:8], 16) % BUCKETS}}}"


def question_key(scope: str, question: str) -> str:
    return f"fl:{bucket_of(scope)}:q:{scope}:{question}"


def lease_key(scope: str, question: str) -> str:
    return f"fl:{bucket_of(scope)}:l:{scope}:{question}"


def answer_prefix(scope: str) -> str:
    """What the key of each answer in the scope begins with."""
    return f"fl:{bucket_of(scope)}:a:{scope}:"


def repeat_key(scope: str, question: str, session: str) -> str:
    return f"fl:{bucket_of(scope)}:r:{scope}:{question}:{session}"


def served_key(request_id: str) -> str:
    return f"fl:served:{request_id}"


def vector_field(dimension: int) -> str:
    """Vectors of two dimensions never stand in one field: an embedder that changes finds an index of its own."""
    return f"v{dimension}"
