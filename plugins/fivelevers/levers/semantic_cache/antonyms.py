"""Pairs of words of which one asks for the opposite of the other, and words that turn a sentence around.

General English, in base forms: ``words.stem`` brings a text's words to them. The order of ``AXES`` is part of a packed
signature: add at the end.
"""

from __future__ import annotations

from typing import Final

from fivelevers.levers.semantic_cache.words import stem

_PAIRS: Final = """
open opened reopen | close closed shut
allow permit permitted legal authorise authorize | ban banned forbid forbidden prohibit disallow illegal
increase raise rise grow growth boost expand | decrease reduce reduction lower shrink drop fall cut
more higher bigger larger greater | less fewer lower smaller
most maximum max highest largest biggest upper | least minimum min lowest smallest
before prior pre ahead | after afterward post
over above exceed beyond | under below beneath
best better advantage benefit pro strength perk upside | worst worse disadvantage drawback con weakness downside
good positive | bad negative poor
accept approve approved agree | reject rejected decline refuse deny denied disapprove
enable activate turnon switchon signup optin | disable deactivate turnoff switchoff signoff optout
include included inclusive | exclude excluded exclusive except
add insert attach append | remove delete detach erase
start begin resume launch | stop end finish pause halt terminate quit
join enter subscribe enrol enroll register | leave exit unsubscribe withdraw
login signin | logout signout
checkin | checkout
buy purchase | sell sale sold
borrow | lend loaned
send upload outgoing outbound | receive download incoming inbound
upgrade | downgrade
hot warm heat | cold cool chill
early earlier earliest | late later latest
first | last
new newest | old oldest
fast quick faster quicker fastest | slow slower slowest
cheap cheaper cheapest inexpensive | expensive dear costly pricey
high tall | low short
long longer longest | short shorter shortest
gain win won profit | lose lost loss
love like | hate dislike
eat drink consume | avoid
grant give | revoke take
arrive arrival | depart departure
deposit | withdraw withdrawal
debit | credit
employer | employee
landlord | tenant
seller vendor | buyer customer
male man men boy husband | female woman women girl wife
safe safely harmless | dangerous harmful hazardous risky toxic
true correct right | false incorrect wrong
success succeed successful | failure fail failed unsuccessful
healthy | sick ill unhealthy
inside indoor internal | outside outdoor external
left | right
north northern | south southern
east eastern | west western
with | without
always | never
everyone everybody all every any | none nobody
keep retain preserve | discard lose cancel
public | private
easy simple | hard difficult
strong | weak
hire recruit employ | fire dismiss sack
connect | disconnect
install | uninstall
lock | unlock
save store | spend waste
push | pull
show display visible | hide hidden invisible
wet | dry
full | empty
rich | poor
happy glad | sad unhappy
young younger | old older
light | heavy dark
odd | even
pass | fail
present | absent
import | export
front | back
top | bottom
ascend ascending | descend descending
single unmarried | married
temporary | permanent
manual manually | automatic automatically
domestic national | international foreign abroad
personal | business commercial
paid | free unpaid
online | offline
refund | charge
prevent avoid | cause
cause reason | effect result consequence
lend | owe
earn | spend
attack | defend
encrypt | decrypt encode
mute | unmute
outstanding excellent | inadequate terrible
confirm | cancel
agree | disagree
continue | discontinue stop
compulsory mandatory required obligatory | optional voluntary
valid | expired void
fixed | variable
guilty | innocent
major | minor
deep | shallow
wide broad widen | narrow
thick fat | thin
loud noisy | quiet silent
bright | dim dark
sharp | blunt
tight tighten | loose loosen
clean | dirty
fresh | stale frozen
raw | cooked
sweet | sour bitter savoury
alive | dead
awake | asleep
strengthen | weaken
freeze | thaw melt
fill | drain
insert | eject
teach | learn
ask question | answer
create build | destroy demolish
marry marriage | divorce
birth born | death die
asset | liability
income earning | expense outgoing
supply | demand
majority | minority
mild | severe spicy
common frequent often | rare rarely seldom
near nearest closest | far farthest furthest
same similar alike | different
plus | minus
multiply | divide
introvert | extrovert
friend | enemy
praise | criticize criticise
support favour favor | oppose against
peace | war
victory | defeat
inhale | exhale
sunrise dawn | sunset dusk
day daytime | night nighttime
pickup collect collection | dropoff delivery deliver
oneway | return roundtrip
upstairs | downstairs
upstream | downstream
whitelist allow admit | blacklist block blacklisted
arrest | release
improve | worsen deteriorate
relieve ease | trigger aggravate
maximize maximise | minimize minimise
careful | careless
useful | useless
harmful | harmless
painful | painless
overpay overpaid | underpay underpaid
overestimate | underestimate
overweight | underweight
ancestor | descendant
sender | recipient receiver
winner | loser
host | guest
teacher | student
doctor | patient
virtue | vice
parent mother father | child kid son daughter
advance | arrears
wholesale | retail
"""


def _axes() -> dict[str, frozenset[int]]:
    """Base form to its poles: ``2 * axis`` for the left side, ``2 * axis + 1`` for the right one."""
    poles: dict[str, set[int]] = {}
    for axis, line in enumerate(line for line in _PAIRS.splitlines() if line):
        for side, words in enumerate(line.split("|")):
            for word in words.split():
                poles.setdefault(stem(word), set()).add(2 * axis + side)
    return {word: frozenset(sides) for word, sides in poles.items()}


POLES: Final = _axes()

_NEGATORS: Final = """
not no never without none nothing nobody neither nor cannot cant dont doesnt didnt isnt arent wasnt werent wont
wouldnt shouldnt couldnt mustnt neednt hasnt havent hadnt aint hardly barely unable non
"""
NEGATORS: Final = frozenset(_NEGATORS.split())
TURNERS: Final = frozenset(
    stem(word) for word in ("avoid", "stop", "prevent", "quit", "refuse", "ban", "forbid", "lack", "except", "instead")
)
"""Words that ask for the contrary where the other question has none of them."""

NEGATING_PREFIXES: Final = ("un", "non", "dis", "in", "im", "ir", "il", "de", "mis")
_LOOK_NEGATED: Final = """
come form side play count cover put press prove port deed tend terest vest crease land pose agree part tent sist sure
quire volve clude duce cide mand pend fine sign scribe liver tail pact plant print age
"""
NOT_NEGATED: Final = frozenset(stem(word) for word in _LOOK_NEGATED.split())
"""What is left of words that only look negated: "income", "display", "discover"."""
