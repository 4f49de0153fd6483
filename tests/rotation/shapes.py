"""The shapes of clouds that are explored, and how often the adversary may act in each."""

from __future__ import annotations

from dataclasses import replace

from rotator.model import UNMANAGED, Capabilities
from tests.rotation.world import Budget, Shape

_AWS = Capabilities(slots=2, can_disable=True, exact=False, has_evidence=True)
_EXACT = Capabilities(slots=3, can_disable=True, exact=True, has_evidence=True)
_AZURE = Capabilities(slots=None, can_disable=False, exact=True, has_evidence=False)
_SECRET = Capabilities(slots=None, can_disable=False, exact=True, has_evidence=False)

AWS = Shape("aws", _AWS, Budget(faults=2, people=1, late=1))
EXACT = Shape("exact", _EXACT, Budget(faults=2, people=1, late=1), local=True)
AZURE = Shape("exact, no disable", _AZURE, Budget(faults=2, people=1, late=1))
SECRET = Shape("secret id", _SECRET, Budget(faults=2, people=1, rotations=2), hinted=False)
FANOUT = Shape("aws, fan-out of two", _AWS, Budget(faults=2, people=1), integrations=2)
FANOUT_EXACT = Shape("exact, fan-out of two", _EXACT, Budget(faults=2, people=1), integrations=2)
LATE = Shape("late pushes, aws", _AWS, Budget(faults=2, late=1, rotations=2), late_pushes=True)
LATE_EXACT = Shape("late pushes, exact", _EXACT, Budget(faults=2, late=1, rotations=2), late_pushes=True)
UNNAMED = Shape("first contact", _EXACT, Budget(people=1), named=None, person_at_start=True)
UNLISTED = Shape(
    "first contact, unlisted, aws", _AWS, Budget(faults=2, people=1), named=None, person_at_start=True, unlisted=True
)
UNMANAGED_EXACT = Shape(
    "first contact, unmanaged", _EXACT, Budget(faults=1, people=1), named=UNMANAGED, person_at_start=True, unlisted=True
)
UNMANAGED_FANOUT = Shape(
    "first contact, unmanaged, fan-out", _AWS, Budget(faults=1), integrations=2, named=UNMANAGED, unlisted=True
)
INFERRED = Shape("three slots, inferred", replace(_AWS, slots=3), Budget(faults=1, people=1))
BLIND = Shape("inferred, no evidence", replace(_AWS, slots=None, has_evidence=False), Budget(faults=1, people=1))
HOLDING = Shape("aws, hold unattributed", _AWS, Budget(faults=1, people=1), hold_unattributed=True)
CONTENDED = Shape("contended", _AZURE, Budget(faults=3, late=3, rotations=1), late_pushes=True)
DOUBT = Shape("journal in doubt", _EXACT, Budget(faults=1, people=1), doubt=True)
SUPPLIED = Shape(
    "the operator makes the keys",
    Capabilities(slots=None, can_disable=False, exact=True, has_evidence=False, supplied=True),
    Budget(faults=2, people=2),
    hinted=False,
)
LATE_FANOUT = Shape("late pushes, fan-out", _EXACT, Budget(faults=2, late=1), integrations=2, late_pushes=True)

OTHERS = Shape("others act, aws", _AWS, Budget(faults=1, others=2))
OTHERS_EXACT = Shape("others act, exact", _EXACT, Budget(faults=1, others=2))
OTHERS_AZURE = Shape("others act, no disable", _AZURE, Budget(faults=1, others=1))
REPLACING = Shape("others act, lost keys are replaced", _EXACT, Budget(faults=1, others=2), replaces=True)
OTHERS_FANOUT = Shape("others act, fan-out of two", _EXACT, Budget(faults=1, others=1), integrations=2)
CLINGING = Shape("integrations cling", _AWS, Budget(faults=2, people=1, clings=1), uses=True)
CLINGING_FANOUT = Shape("integrations cling, fan-out", _EXACT, Budget(faults=1, clings=1), integrations=2, uses=True)
LYING = Shape("lists lag and lie", _EXACT, Budget(faults=1, people=1, lies=1), lags=True)
LYING_TWICE = Shape("lists lie twice", _EXACT, Budget(lies=2), lags=True)
CLINGING_LOST = Shape("integrations cling, others act", _AWS, Budget(others=1, clings=1), uses=True)
DOUBT_AWS = Shape("journal in doubt, aws", _AWS, Budget(people=2), doubt=True)
LYING_AWS = Shape("lists lag and lie, aws", _AWS, Budget(faults=1, others=1, lies=1), lags=True)

SHAPES = (
    UNNAMED,
    UNLISTED,
    UNMANAGED_EXACT,
    UNMANAGED_FANOUT,
    OTHERS,
    OTHERS_EXACT,
    OTHERS_AZURE,
    REPLACING,
    OTHERS_FANOUT,
    CLINGING,
    CLINGING_FANOUT,
    CLINGING_LOST,
    LYING,
    LYING_TWICE,
    LYING_AWS,
    DOUBT_AWS,
    SUPPLIED,
    INFERRED,
    BLIND,
    HOLDING,
    DOUBT,
    LATE_FANOUT,
    AWS,
    EXACT,
    AZURE,
    SECRET,
    FANOUT,
    FANOUT_EXACT,
    LATE,
    LATE_EXACT,
)
"""The default run: a million situations, in less than two minutes on one core."""


def _more(shape: Shape, **budget: int) -> Shape:
    name = ", ".join(f"{what} {times}" for what, times in budget.items())
    return replace(shape, name=f"{shape.name}: {name}", budget=shape.budget._replace(**budget))


QUICK = (
    *(_more(shape, faults=1) for shape in (AWS, EXACT, FANOUT, FANOUT_EXACT, LATE)),
    *(UNNAMED, INFERRED, HOLDING, DOUBT, OTHERS_FANOUT, CLINGING_FANOUT),
)
"""A few seconds."""

DEEP = (
    _more(AWS, faults=3, late=0),
    _more(AWS, people=2, late=0),
    _more(AWS, rotations=2),
    replace(_more(AWS), name="aws, reads fail", reads_fail=True),
    _more(EXACT, faults=3, late=0),
    _more(EXACT, people=2, late=0),
    _more(AZURE, people=2),
    _more(SECRET, people=2, late=1, rotations=1),
    _more(FANOUT, people=2),
    replace(_more(FANOUT_EXACT), name="exact, fan-out of two, reads fail", reads_fail=True),
    _more(LATE, people=1),
    _more(LATE, late=2),
    _more(LATE, faults=3, late=3, rotations=1),
    replace(_more(LATE_EXACT, people=1), reads_fail=True),
    _more(LATE_FANOUT, people=1),
    _more(DOUBT, faults=2, people=2),
    CONTENDED,
)
"""Several million situations, in a quarter of an hour or so: `make explore`."""
