"""Fire drills: a chain of your own against a simulated outage, in virtual time, with figures.

`drill` runs one and gives a `Result`; `html` makes a page of one or several.  On the command line it is
`fallbackio drill`.
"""

from __future__ import annotations

from fallbackio.drill._drill import Tick, drill
from fallbackio.drill._given import Drillable
from fallbackio.drill._limits import check_limits
from fallbackio.drill._record import Call, Move
from fallbackio.drill._result import Result
from fallbackio.drill._rules import Breach
from fallbackio.drill._values import Afterwards, Cast, Failover, Figures, Quantiles, Troubled

__all__ = [
    "Afterwards",
    "Breach",
    "Call",
    "Cast",
    "Drillable",
    "Failover",
    "Figures",
    "Move",
    "Quantiles",
    "Result",
    "Tick",
    "Troubled",
    "check_limits",
    "drill",
]
