"""POST /v1/embeddings: vectors in which texts that share words are near each other.

https://developers.openai.com/api/reference/resources/embeddings
"""

import base64
import hashlib
import math
import re
from array import array
from typing import Any

from examples.provider_simulator.call import Call, Surroundings
from examples.provider_simulator.conversation import Conversation, text_part
from examples.provider_simulator.errors import invalid, missing
from examples.provider_simulator.fields import Json, text_field, whole_number
from examples.provider_simulator.solvers.words import stem

_WORD = re.compile(r"[a-z0-9]+")
_SPREAD = 24  # how many places of the vector a word touches
MAX_INPUTS = 2048


def parse(body: Json, around: Surroundings) -> Call:
    model = around.catalogue.find(text_field(body, "model"), "openai", embeddings=True)
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise invalid("encoding_format", f"{body['encoding_format']!r} is not one of base64, float")
    size = whole_number(body, "dimensions")
    if size and size > model.dimensions:
        raise invalid("dimensions", f"{size} is above {model.dimensions}, what {model.name} has")
    texts = _texts(body)
    parts = tuple(text_part(text) for text in texts)
    longest = max(part.tokens for part in parts)
    if longest > model.context:
        raise invalid("input", f"maximum context length is {model.context} tokens, but an input has {longest}")
    return Call("embeddings", model, body, Conversation(system=parts))


def _texts(body: Json) -> list[str]:
    """The inputs as texts; an array of token numbers is one text of as many words."""
    given = body.get("input")
    if given is None:
        raise missing("input")
    rows = [given] if isinstance(given, str) or (isinstance(given, list) and _numbers(given)) else given
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_INPUTS:
        raise invalid("input", f"expected a string or an array of 1 to {MAX_INPUTS} inputs")
    texts = [_text(row) for row in rows]
    if not all(texts):
        raise invalid("input", "an input is empty")
    return texts


def _text(row: Any) -> str:
    if isinstance(row, str):
        return row
    if _numbers(row):
        return " ".join(f"t{number}" for number in row)
    raise invalid("input", "expected strings or arrays of token numbers")


def _numbers(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and all(isinstance(number, int) for number in row)


def whole(call: Call, tokens: int) -> Json:
    size = call.body.get("dimensions") or call.model.dimensions
    as_base64 = call.body.get("encoding_format") == "base64"
    data = []
    for index, part in enumerate(call.conversation.system):
        vector = embed(part.text, size)
        packed = base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": packed})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": call.model.name, "usage": usage}


def embed(text: str, size: int) -> "array[float]":
    """A unit vector of `size` numbers (32-bit): each stemmed word adds its own few random signs."""
    sums = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        digest = hashlib.blake2b(stem(word).encode(), digest_size=_SPREAD * 2).digest()
        for at in range(0, len(digest), 2):
            sums[int.from_bytes(digest[at : at + 2], "big") % size] += 1.0 if digest[at] & 1 else -1.0
    norm = math.sqrt(sum(value * value for value in sums)) or 1.0
    return array("f", [value / norm for value in sums])
