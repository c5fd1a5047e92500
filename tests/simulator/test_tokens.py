"""The tokenizer's promises."""

from hypothesis import given
from hypothesis import strategies as st

from examples.provider_simulator.conversation import Conversation, Turn, text_part
from examples.provider_simulator.tokens import clip, count_tokens, split_tokens, stream_pieces


@given(st.text(max_size=300))
def test_tokens_are_spans_of_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text
    assert count_tokens(text) == len(split_tokens(text))


@given(st.text(alphabet="ab 1.\n\t,é漢", max_size=200), st.integers(1, 8))
def test_streamed_pieces_count_what_the_text_counts(text: str, words: int) -> None:
    pieces = list(stream_pieces(text, words))
    assert "".join(pieces) == text
    assert sum(map(count_tokens, pieces)) == count_tokens(text)


@given(st.text(max_size=200), st.integers(0, 50))
def test_clipping(text: str, most: int) -> None:
    assert count_tokens(clip(text, most)) <= most
    assert text.startswith(clip(text, most))


@given(st.lists(st.text(max_size=50), min_size=1, max_size=8))
def test_a_prompt_counts_the_sum_of_its_blocks(texts: list[str]) -> None:
    conversation = Conversation(turns=(Turn("user", tuple(map(text_part, texts))),))
    assert conversation.tokens == sum(map(count_tokens, texts)) + 3


def test_about_four_characters_a_token() -> None:
    text = "The subscription renews automatically at the end of every billing period unless you cancel it before. " * 20
    assert 3.5 < len(text) / count_tokens(text) < 5.5
