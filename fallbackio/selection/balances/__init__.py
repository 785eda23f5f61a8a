"""Ways to order the members of a pool, one file each."""

from collections.abc import Mapping
from types import MappingProxyType

from fallbackio.selection._standing import Balance
from fallbackio.selection.balances._cost import cost
from fallbackio.selection.balances._latency import latency
from fallbackio.selection.balances._least_busy import least_busy
from fallbackio.selection.balances._weighted import weighted

__all__ = ["BALANCES"]

BALANCES: Mapping[str, Balance] = MappingProxyType(
    {"weighted": weighted, "least_busy": least_busy, "latency": latency, "cost": cost}
)
"""The balances by the names that `Pool(balance=…)` gives them."""
