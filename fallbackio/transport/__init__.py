"""The door to the network: endpoints become providers here."""

from fallbackio.transport._calling import CallingProvider
from fallbackio.transport._credentials import credentials_for
from fallbackio.transport._http import HttpProvider
from fallbackio.transport._session import Session

__all__ = ["CallingProvider", "HttpProvider", "Session", "credentials_for"]
