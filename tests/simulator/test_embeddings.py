"""Embeddings, models, and how near related texts lie."""

import math

import openai
import pytest

from examples.provider_simulator.openai_embeddings import embed
from examples.provider_simulator.tokens import count_tokens


def test_vectors_sizes_and_usage(oai: openai.OpenAI) -> None:
    texts = ["a refund for my order", "the app crashes"]
    answer = oai.embeddings.create(model="text-embedding-3-small", input=texts)
    assert [len(row.embedding) for row in answer.data] == [1536, 1536]
    assert answer.usage.prompt_tokens == sum(map(count_tokens, texts))
    short = oai.embeddings.create(model="text-embedding-3-large", input="x", dimensions=256, encoding_format="float")
    assert len(short.data[0].embedding) == 256
    assert math.isclose(sum(value * value for value in short.data[0].embedding), 1, rel_tol=1e-4)


def test_related_texts_are_nearer() -> None:
    def near(left: str, right: str) -> float:
        return sum(a * b for a, b in zip(embed(left, 512), embed(right, 512), strict=True))

    refund = "How do I get a refund for my order?"
    assert near(refund, refund) == pytest.approx(1, abs=1e-4)
    assert near(refund, "refunds of orders") > 0.3 > abs(near(refund, "the application crashed at night"))


def test_a_chat_model_gives_no_embeddings(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        oai.embeddings.create(model="gpt-4.1", input="x")


def test_models_are_listed(oai: openai.OpenAI) -> None:
    assert {"gpt-4.1", "text-embedding-3-small"} <= {model.id for model in oai.models.list()}
    assert oai.models.retrieve("gpt-4.1").id == "gpt-4.1"
    with pytest.raises(openai.NotFoundError):
        oai.models.retrieve("gpt-9")
