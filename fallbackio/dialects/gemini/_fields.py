"""The names that Gemini's API knows, in both spellings that it takes (`topK` and `top_k`)."""

from __future__ import annotations

import re

__all__ = ["GENERATION", "fields"]


def fields(names: str) -> dict[str, str]:
    """Every spelling of `names` with the one that is documented.

    Example:
        >>> fields("topK")
        {'topK': 'topK', 'top_k': 'topK'}
    """
    known = {name: name for name in names.split()}
    return {re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name): name for name in known} | known


# As of 2026-11 (google-genai 3.4).
GENERATION = fields(
    "audioTimestamp audioTranscriptionConfig candidateCount enableAffectiveDialog enableEnhancedCivicAnswers "
    "frequencyPenalty logprobs maxOutputTokens mediaResolution modelSelectionConfig presencePenalty "
    "responseFormat responseJsonSchema responseLogprobs responseMimeType responseModalities responseSchema "
    "routingConfig seed speechConfig stopSequences temperature thinkingConfig topK topP translationConfig"
)
"""What `generationConfig` may hold."""
