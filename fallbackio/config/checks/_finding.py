"""What a check finds, and what finds it: a code, where it is, why it matters and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from attrs import asdict, frozen

if TYPE_CHECKING:
    from fallbackio.config.checks._subject import Subject

__all__ = ["Finding", "Hit", "Rule", "Severity"]

Severity = Literal["error", "warning", "info"]


@frozen(kw_only=True)
class Finding:
    """One thing that production would find later.

    Attributes:
        code: Its kind, `FB101` for example; stable, so that it can be ignored by it.
        severity: `"error"`: calls will fail; `"warning"`: an outage will be worse than it need be;
            `"info"`: worth knowing, and no reason to fail a build.
        where: The place in the file, `chain.chat.timeout`; for a chain made in code the setting or the
            endpoint.
        what: What is so.
        why: Why that matters.
        mend: What to do about it; empty where `what` says it.

    Example:
        >>> for finding in chain.check():
        ...     print(finding.code, finding.where, finding.what, finding.mend)
    """

    code: str
    severity: Severity
    where: str
    what: str
    why: str
    mend: str

    def to_dict(self) -> dict[str, str]:
        """As plain data, for JSON.

        Example:
            >>> chain.check()[0].to_dict()["code"]
            'FB102'
        """
        return asdict(self)


@frozen
class Hit:
    """Where a rule holds, what is so there, and the mend; of another severity than usual if it says so."""

    where: str
    what: str
    mend: str
    severity: Severity | None = None


@frozen
class Rule:
    """One kind of finding.

    Attributes:
        title: The kind in a few words, for the list of all.
        find: Looks for it; `None` for what reading a file finds by itself.
    """

    code: str
    severity: Severity
    title: str
    why: str
    find: Callable[[Subject], Iterable[Hit]] | None = None

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """All of them in one chain."""
        for hit in self.find(subject) if self.find is not None else ():
            yield self.at(hit)

    def at(self, hit: Hit) -> Finding:
        """One of them."""
        return Finding(
            code=self.code,
            severity=hit.severity or self.severity,
            where=hit.where,
            what=hit.what,
            why=self.why,
            mend=hit.mend,
        )
