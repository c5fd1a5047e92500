"""Words as the solvers compare them: lower case, stemmed, with a few synonyms."""

import re
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]+(?:[.'][a-z0-9]+)*")
_SUFFIXES = ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ed", "es", "ly", "s", "e", "y")
_STOP_WORDS = """
a an the is are was were be been am do does did can could will would shall should may might must of to in on at by for
from with and or if then than that this these those it its i we you your our my me us they them their he she his
her what which who whom whose when where why how there here so as about into please tell need want know get have has
had any some much exactly just hi hello hey thanks thank question also actually i'm it's what's i'd let's
"""
_STOP = frozenset(_STOP_WORDS.split())
# Each row is one meaning; its first word stands for all.
_SYNONYMS = """
price cost pricing charge fee rate pay paid expensive
cancel terminate end stop quit
refund reimburse reimbursement reimbursed
vacation holiday pto leave
employee staff worker colleague
begin start commence
buy purchase order
email mail e-mail
phone telephone
delete remove erase
support help assistance
include contain cover come
maximum max most limit cap
minimum min least
user seat member
annual yearly year
monthly month
pause suspend freeze
upgrade
store stored storage keep kept retain retention save saved
location located region resid residency
team group
change switch move modify
bill billing invoice
length long duration
laptop computer notebook
doctor medical sick illness ill
"""


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word without a common English ending; at least three letters stay."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: -len(suffix)]
            break
    doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz"
    return word[:-1] if doubled else word


_MEANING = {stem(word): stem(row.split()[0]) for row in _SYNONYMS.strip().splitlines() for word in row.split()}


def stems(text: str) -> list[str]:
    """Every word of a text, stemmed, in order."""
    return [stem(word.removesuffix("'s")) for word in _WORD.findall(text.lower())]


def terms(text: str) -> list[str]:
    """The content words of a text, stemmed, synonyms made one, in order."""
    found = (word.removesuffix("'s") for word in _WORD.findall(text.lower()) if word not in _STOP)
    return [_MEANING.get(stem(word), stem(word)) for word in found]
