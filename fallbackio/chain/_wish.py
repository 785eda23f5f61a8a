"""What a caller asks of one call besides its messages and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import define

from fallbackio.chain._accept import Accept, checked
from fallbackio.chain._settings import Limits
from fallbackio.model import Message

if TYPE_CHECKING:
    # A session asks with a wish of its own.
    from fallbackio.chain._session import Session

__all__ = ["UNSET", "Messages", "Unset", "Wish"]

Messages = str | Sequence[Mapping[str, Any] | Message]


class Unset:
    """Stands for a setting that was not given, because `None` means none."""

    def __repr__(self) -> str:
        return "the chain's"


UNSET = Unset()


@define(kw_only=True, eq=False)  # not frozen, because one is made for every call
class Wish:
    """One call's own settings; those that are not given are the chain's."""

    timeout: float | Unset | None = UNSET
    accept: Accept | Unset | None = UNSET
    session: Session | str | None = None
    require: Iterable[str] = ()
    operation: Literal["chat", "embeddings"] = "chat"

    def timeout_or(self, chains: float | None) -> float | None:
        """Seconds for the whole call; raises `ConfigError` for what is none."""
        return chains if isinstance(self.timeout, Unset) else Limits(timeout=self.timeout).timeout

    def accept_or(self, chains: Accept | None) -> Accept | None:
        """What judges its answer; raises `ConfigError` for what is no function."""
        return chains if isinstance(self.accept, Unset) else checked(self.accept)
