"""Putting an answer into words: the fact stays, the words around it change from call to call."""

import random

_NUMBER = (
    "The result is {}.",
    "That comes to {}.",
    "It works out to {}.",
    "The answer is {}.",
    "Worked through step by step, this gives {}.",
    "Multiplications and divisions first, then the rest: {}.",
)
_OPENINGS = (
    "Happy to help with that.",
    "Good question!",
    "Thanks for asking.",
    "Sure, here is what I found.",
    "I checked the information that I have for you.",
    "Of course.",
    "Let me look that up for you.",
    "Here is the relevant part of our documentation.",
)
_LEADS = (
    "According to the information that I have:",
    "The passage that answers this says:",
    "What applies here is the following.",
    "In short:",
    "To quote what is written there:",
    "This is what it says:",
)
_FOLLOW_UPS = (
    "That is the rule as it stands, so you can rely on it when you plan the next step.",
    "If your situation differs from the usual one, let me know the details and I will check again.",
    "Nothing else in the material that I was given changes this.",
    "Should anything about this be unclear, just ask and I will explain it in other words.",
    "Please note that this covers the standard case; individual agreements can say otherwise.",
    "I have left out the parts that do not concern your question, but I can go through them with you too.",
)
_CLOSINGS = (
    "Is there anything else that I can do for you?",
    "Let me know whether this answers your question.",
    "I hope this helps!",
    "Feel free to come back with any follow-up.",
    "",
)
_UNKNOWN = (
    "I could not find this in the information that I have been given.",
    "The material in front of me does not say anything about this.",
    "I am afraid that nothing in my documents covers this point.",
)
_WORK = (
    "I have gone through what is there and the structure is clear to me now.",
    "The change is small and stays within the module that we are working on.",
    "Before touching anything else I would run the tests once more, so that we know where we stand.",
    "The next step is to look at the callers, because they rely on the present behaviour.",
    "Nothing so far suggests that other parts are affected.",
    "I kept the existing names and the style of the surrounding code.",
    "The error comes from the value that is passed in, not from the function itself.",
    "One thing to watch is the case of an empty input, which the present code does not handle.",
)
_BEFORE_NUMBERS = (template.partition("{}")[0].strip() for template in _NUMBER)
# All that stands around a fact or before a number, the longest first: one may begin another.
PHRASES = tuple(
    sorted(filter(None, (*_OPENINGS, *_LEADS, *_FOLLOW_UPS, *_CLOSINGS, *_BEFORE_NUMBERS)), key=len, reverse=True)
)


def number(value: str, rng: random.Random) -> str:
    return rng.choice(_NUMBER).format(value)


def fact(line: str, rng: random.Random) -> str:
    """40 to 200 tokens around the line, which stays as it is."""
    line = line if line.endswith((".", "!", "?")) else f"{line}."
    follow_ups = rng.sample(_FOLLOW_UPS, rng.randint(2, 4))
    return " ".join([rng.choice(_OPENINGS), rng.choice(_LEADS), line, *follow_ups, rng.choice(_CLOSINGS)]).strip()


def unknown(rng: random.Random) -> str:
    return " ".join([rng.choice(_UNKNOWN), *rng.sample(_FOLLOW_UPS[1:4], 1), rng.choice(_CLOSINGS)]).strip()


def progress(rng: random.Random) -> str:
    """What an agent says between two steps."""
    return " ".join(rng.sample(_WORK, rng.randint(2, 5)))
