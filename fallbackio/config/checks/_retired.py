"""Models that their makers have switched off, or will, with the day and what to use in place of them.

That is what the maker recommends, or where that has gone as well, its successor today.

Only what was published with a day stands here, and only for the maker's own API: Azure, Bedrock, Vertex and
the routers keep models for longer, by calendars of their own.

Read in 2026-11: OpenAI's deprecations page (also its `shutdown_date` of 2026-10-27), anthropic 2.14.0's own
table and Anthropic's page, Google's page of deprecations (2026-11-10), xAI's and DeepSeek's notices of
migration, Groq's and Cerebras' pages, Mistral's overview as braintrust's catalogue has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType

from attrs import frozen

__all__ = ["RETIRED", "VERIFIED", "Retirement", "retirement_of"]

VERIFIED = "2026-11"
"""Year and month in which the table was read."""


@frozen
class Retirement:
    """From which day on a model is not there, and what to use in place of it."""

    day: date
    instead: str


def _rows(*groups: tuple[str, str, str]) -> Mapping[str, Retirement]:
    def each() -> Iterator[tuple[str, Retirement]]:
        for day, instead, names in groups:
            for name in names.split():
                yield name, Retirement(date.fromisoformat(day), instead)

    return MappingProxyType(dict(each()))


RETIRED: Mapping[str, Mapping[str, Retirement]] = MappingProxyType(
    {
        "openai": _rows(
            ("2024-09-13", "gpt-6-luna", "gpt-3.5-turbo-0301 gpt-3.5-turbo-0613 gpt-3.5-turbo-16k-0613"),
            ("2024-12-06", "gpt-6-luna", "gpt-4-vision-preview gpt-4-1106-vision-preview"),
            ("2025-06-06", "gpt-6-luna", "gpt-4-32k gpt-4-32k-0314 gpt-4-32k-0613"),
            ("2025-07-14", "gpt-6-luna", "gpt-4.5-preview gpt-4.5-preview-2025-02-27"),
            ("2025-07-28", "gpt-5.6-sol", "o1-preview o1-preview-2024-09-12"),
            ("2025-10-27", "gpt-5.6-terra", "o1-mini o1-mini-2024-09-12"),
            ("2026-02-17", "gpt-5.6-sol", "chatgpt-4o-latest"),
            ("2026-03-26", "gpt-5.6-sol", "gpt-4-0314 gpt-4-0125-preview gpt-4-turbo-preview"),
            (
                "2026-07-23",
                "gpt-5.6-sol",
                "gpt-5-chat-latest gpt-5-codex gpt-5.1-chat-latest gpt-5.1-codex gpt-5.1-codex-max "
                "gpt-5.2-codex "
                "o3-deep-research o3-deep-research-2025-06-26 o4-mini-deep-research "
                "o4-mini-deep-research-2025-06-26",
            ),
            (
                "2026-07-23",
                "gpt-5.6-terra",
                "gpt-5.1-codex-mini gpt-4o-search-preview-2025-03-11 gpt-4o-mini-search-preview-2025-03-11",
            ),
            ("2026-08-10", "gpt-5.6-sol", "gpt-5.2-chat-latest gpt-5.3-chat-latest"),
            ("2026-09-28", "gpt-5.6-terra", "gpt-3.5-turbo-1106 gpt-3.5-turbo-instruct"),
            ("2026-10-23", "gpt-5.6-terra", "gpt-3.5-turbo gpt-3.5-turbo-0125 o4-mini o4-mini-2025-04-16"),
            ("2026-10-23", "gpt-5.6-luna", "gpt-4.1-nano gpt-4.1-nano-2025-04-14"),
            (
                "2026-10-23",
                "gpt-5.6-sol",
                "gpt-4 gpt-4-0613 gpt-4-1106-preview gpt-4-turbo gpt-4-turbo-2024-04-09 gpt-4o-2024-05-13 o1 "
                "o1-2024-12-17 o1-pro o1-pro-2025-03-19 o3-mini o3-mini-2025-01-31",
            ),
            (
                "2026-12-11",
                "gpt-5.6-sol",
                "gpt-5 gpt-5-2025-08-07 gpt-5-pro gpt-5-pro-2025-10-06 o3 o3-2025-04-16 o3-pro "
                "o3-pro-2025-06-10",
            ),
            ("2026-12-11", "gpt-5.6-terra", "gpt-5-mini gpt-5-mini-2025-08-07"),
            ("2026-12-11", "gpt-5.6-luna", "gpt-5-nano gpt-5-nano-2025-08-07"),
            (
                "2027-01-14",
                "gpt-6-luna",
                "gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-11-20 gpt-4o-mini gpt-4o-mini-2024-07-18 gpt-4.1 "
                "gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.1-mini-2025-04-14",
            ),
            ("2027-04-01", "gpt-6-sol", "gpt-5.1 gpt-5.1-2025-11-13"),
        ),
        "anthropic": _rows(
            (
                "2024-11-06",
                "claude-haiku-4-5",
                "claude-1.0 claude-1.1 claude-1.2 claude-1.3 claude-instant-1.0 claude-instant-1.1 "
                "claude-instant-1.2",
            ),
            ("2025-07-21", "claude-opus-4-8", "claude-2.0 claude-2.1"),
            ("2025-07-21", "claude-sonnet-4-6", "claude-3-sonnet-20240229"),
            (
                "2025-10-28",
                "claude-sonnet-4-6",
                "claude-3-5-sonnet-20240620 claude-3-5-sonnet-20241022 claude-3-5-sonnet-latest",
            ),
            ("2026-01-05", "claude-opus-4-8", "claude-3-opus-20240229 claude-3-opus-latest"),
            ("2026-02-19", "claude-sonnet-4-6", "claude-3-7-sonnet-20250219 claude-3-7-sonnet-latest"),
            ("2026-02-19", "claude-haiku-4-5", "claude-3-5-haiku-20241022 claude-3-5-haiku-latest"),
            ("2026-04-20", "claude-haiku-4-5", "claude-3-haiku-20240307"),
            ("2026-06-15", "claude-sonnet-4-6", "claude-sonnet-4-20250514 claude-sonnet-4-0"),
            ("2026-06-15", "claude-opus-4-8", "claude-opus-4-20250514 claude-opus-4-0"),
            ("2026-08-05", "claude-opus-4-8", "claude-opus-4-1-20250805 claude-opus-4-1"),
            ("2026-11-30", "claude-sonnet-5-5", "claude-sonnet-4-5-20250929 claude-sonnet-4-5"),
            ("2027-01-22", "claude-opus-5-5", "claude-opus-4-5-20251101 claude-opus-4-5"),
        ),
        "gemini": _rows(
            (
                "2025-12-02",
                "gemini-3.1-pro-preview",
                "gemini-2.5-pro-preview-05-06 gemini-2.5-pro-preview-06-05",
            ),
            ("2026-01-14", "gemini-embedding-2", "text-embedding-004"),
            ("2026-03-09", "gemini-3.1-pro-preview", "gemini-3-pro-preview"),
            ("2026-05-25", "gemini-3.1-flash-lite", "gemini-3.1-flash-lite-preview"),
            ("2026-06-01", "gemini-3.6-flash", "gemini-2.0-flash gemini-2.0-flash-001"),
            ("2026-06-01", "gemini-3.1-flash-lite", "gemini-2.0-flash-lite gemini-2.0-flash-lite-001"),
            ("2026-12-01", "gemini-3.8-flash", "gemini-2.5-pro"),
            ("2026-12-01", "gemini-3.5-flash-lite", "gemini-2.5-flash"),
            ("2027-05-07", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite"),
        ),
        "xai": _rows(
            (
                "2026-05-15",
                "grok-4.3",
                "grok-4-1-fast-reasoning grok-4-1-fast-non-reasoning grok-4-fast-reasoning "
                "grok-4-fast-non-reasoning grok-4-0709 grok-code-fast-1 grok-3",
            ),
            ("2026-11-19", "grok-4.7", "grok-build-0.1"),
        ),
        "deepseek": _rows(("2026-07-24", "deepseek-v4-flash", "deepseek-chat deepseek-reasoner")),
        "groq": _rows(
            ("2025-01-24", "openai/gpt-oss-120b", "llama-3.1-70b-versatile"),
            ("2025-03-20", "openai/gpt-oss-120b", "mixtral-8x7b-32768"),
            ("2025-07-30", "openai/gpt-oss-120b", "mistral-saba-24b"),
            ("2025-08-30", "openai/gpt-oss-120b", "llama3-70b-8192"),
            ("2025-08-30", "openai/gpt-oss-20b", "llama3-8b-8192"),
            ("2025-10-02", "openai/gpt-oss-120b", "deepseek-r1-distill-llama-70b"),
            ("2025-10-08", "openai/gpt-oss-20b", "gemma2-9b-it"),
            ("2025-10-10", "openai/gpt-oss-120b", "moonshotai/kimi-k2-instruct"),
            ("2026-03-09", "openai/gpt-oss-120b", "meta-llama/llama-4-maverick-17b-128e-instruct"),
            ("2026-04-15", "openai/gpt-oss-120b", "moonshotai/kimi-k2-instruct-0905"),
            (
                "2026-07-17",
                "openai/gpt-oss-120b",
                "qwen/qwen3-32b meta-llama/llama-4-scout-17b-16e-instruct",
            ),
            ("2026-08-16", "openai/gpt-oss-120b", "llama-3.3-70b-versatile"),
            ("2026-08-16", "openai/gpt-oss-20b", "llama-3.1-8b-instant"),
        ),
        "cerebras": _rows(
            ("2026-02-16", "gpt-oss-120b", "llama-3.3-70b qwen-3-32b"),
            ("2026-05-27", "gpt-oss-120b", "llama3.1-8b qwen-3-235b-a22b-instruct-2507"),
        ),
        "mistral": _rows(
            ("2025-11-30", "codestral-2508", "codestral-2501"),
            ("2025-12-31", "ministral-14b-2512", "pixtral-12b-2409"),
        ),
    }
)
"""By vendor and by the name that the vendor gives the model."""


def retirement_of(vendor: str, model: str) -> Retirement | None:
    """When `model` is switched off at `vendor`; `None` if no day is known.

    Example:
        >>> retirement_of("openai", "gpt-4-turbo").day
        datetime.date(2026, 10, 23)
    """
    return RETIRED.get(vendor, {}).get(model.strip().lower())
