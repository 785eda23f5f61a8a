"""What production would find later, found now; loaded when somebody asks.

To add a rule: write what finds it in the file of its family, and give it a line in that file's `RULES`.
To add a family: a file, and its line in `_registry`.
"""

from fallbackio.config.checks._finding import Finding, Rule, Severity
from fallbackio.config.checks._judging import Report, check_file
from fallbackio.config.checks._live import Tried, try_file
from fallbackio.config.checks._registry import RULES

__all__ = ["RULES", "Finding", "Report", "Rule", "Severity", "Tried", "check_file", "try_file"]
