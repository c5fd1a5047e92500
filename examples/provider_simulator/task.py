"""Reading a conversation as a task: instructions, context, and what the user asks last."""

import re
from dataclasses import dataclass

from examples.provider_simulator.conversation import Conversation, Turn

_MARKED_QUESTION = re.compile(r"(?:^|\n)\s*\**(?:(?:user |quick )?question|query)\**\s*:\**\s*(.+?)\s*$", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Task:
    """`text` is the last user text whole; `question` is the part of it that asks; `context` all that may hold facts."""

    instructions: str
    context: str
    text: str
    question: str
    earlier_question: str
    user_spoke_last: bool

    @property
    def content(self) -> tuple[str, ...]:
        """What fixes the draw: the same words give the same luck whichever API carries them."""
        return (self.instructions, self.context, self.text)


def read_task(conversation: Conversation) -> Task:
    spoken = [turn for turn in conversation.turns if turn.role == "user" and turn.text()]
    instructions = conversation.system_text()
    if not spoken:
        return Task(instructions, instructions, "", "", "", user_spoke_last=False)
    last = spoken[-1]
    texts = [part.text for part in last.parts if part.kind == "text" and part.text.strip()] or [""]
    before, question = split_question(texts[-1])
    earlier = [turn.text() for turn in spoken[:-1]]
    facts = [instructions, *map(_facts_in, earlier), *texts[:-1], before]
    return Task(
        instructions=instructions,
        context="\n".join(text for text in facts if text),
        text=texts[-1],
        question=question,
        earlier_question=split_question(earlier[-1])[1] if earlier else "",
        user_spoke_last=_ends_with_user_text(conversation.turns, last),
    )


def split_question(text: str) -> tuple[str, str]:
    """(what stands before, the question): what follows `Question:`, else the last paragraph, else all of it."""
    marked = _MARKED_QUESTION.search(text)
    if marked:
        question, _, rest = marked.group(1).partition("\n\n")
        return f"{text[: marked.start()]}\n{rest}".strip(), question
    paragraphs = [part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    if len(paragraphs) > 1:
        return "\n\n".join(paragraphs[:-1]), paragraphs[-1]
    return "", text


def _facts_in(text: str) -> str:
    """What an earlier user message leaves as context: all of a long one, nothing of a bare question."""
    before, question = split_question(text)
    return text if len(question) >= 200 or "\n" in question else before


def _ends_with_user_text(turns: tuple[Turn, ...], last: Turn) -> bool:
    return turns[-1] is last and last.parts[-1].kind == "text"
