"""Words that say nothing of a photo: function words, and what captioners like to write."""

from __future__ import annotations

STOP_WORDS = frozenset(
    """
a about above across after again against all along also although am among an and any anybody
anyone anything are around as at away be because been before behind being below beneath beside
besides between beyond both but by can cannot could did do does doing done down during each either
else etc even ever every everyone everything for from further get gets getting had has have having
he her here hers herself him himself his how however i if in inside into is it its itself just let
may me might mine more most much must my myself near neither next no nobody none nor not nothing of
off on onto or other others ought our ours ourselves out outside over own per perhaps quite rather
same shall she should since so some somebody someone something such than that the their theirs them
themselves then there these they this those though through throughout thus to too toward towards
under until unto up upon us very via was we were what when where whether which while who whom whose
why will with within without would yes yet you your yours yourself yourselves
arent cant couldnt didnt doesnt dont hadnt hasnt havent hes im isnt itll ive lets shes shouldnt
thats theres theyre theyve wasnt werent weve whats wont wouldnt youre youve s t re ve ll d m
""".split()  # noqa: SIM905 - a word list reads best as words
)

BOILERPLATE = """
image picture photo photograph photography scene view viewer feature show showcase depict display
capture contain include visible visibly see seen present presence presented appear appearance seem
look likely possibly probably perhaps maybe suggest suggesting indicate imply various several
numerous multiple many few lot lots variety number couple total different additional additionally
addition add overall atmosphere ambiance ambience sense touch charm feel feeling vibe environment
setting create provide make give given position positioned place placed locate located situate
situated arrange arranged occupy portion part area space side left right center centre middle
corner top bottom edge front back background foreground close closer closely nearby far distance
distant main focus focused focal prominent prominently significant significantly noticeable
noticeably clearly visually detail detailed element aspect moment time way one two three four five
six seven eight nine ten another first second third well least take taken taking use used using
have engage engaged involve enjoy enjoying description describe example kind type thing item object
surround surrounded surrounding surroundings together slightly spread scatter scattered partially
group filled covered equipped belonging size piece progress skillfully actively
lively serene cozy inviting delicious appealing picturesque unique pleasant impressive exciting
excitement thrill thrilling enjoyable beautiful beauty lovely bustling vibrant dynamic relaxed
relaxation comfortably comfortable casual essence manner assortment combination arrangement
arrange mix generous abundance experience activity event occasion opportunity moment spot ready
allow ensure accompany adorn gather backdrop depth mid amidst contribute reveal resemble
noticeable evident apparent obvious interesting unusual attention company enhance complete
overall general style stylish nice great good perfect perfectly properly simple likely
possible potentially essential available similar different difference interaction interact
situation context purpose attraction talent skill skillful skilled athleticism
""".split()  # noqa: SIM905

# Each says nothing, though its words elsewhere do.
PHRASES = """
as well as
at the end of
bird's eye view
close up
close-up
each other
eye level
for example
full view
good time
hustle and bustle
in full swing
in the process of
in use
kind of
making it
on display
on top of
one another
pay attention
paying close attention
point of view
ready to
right next to
sense of
side by side
sort of
such as
the rest of
""".strip().splitlines()
