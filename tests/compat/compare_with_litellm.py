"""Run the programs of this folder under LiteLLM itself, and compare what they print; by hand.

    python tests/compat/compare_with_litellm.py PYTHON [PART_OF_A_NAME ...]

`PYTHON` is an interpreter that has LiteLLM installed.  Each program runs unchanged against the same
simulated endpoints; one that prints something else must say so in its `differs`.
"""

from __future__ import annotations

import os
import subprocess
import sys

from compat_kit import NAMES, Outside, outside
from litellm_programs import PROGRAMS, Program

# Lines that LiteLLM prints besides what the program does.
_NOISE = ("Give Feedback", "LiteLLM.Info", "Provider List")


def printed(program: Program, there: Outside, python: str) -> str:
    """What the program prints under LiteLLM, and the last line of its error if it ends with one."""
    text = program.text
    for name in NAMES:
        text = text.replace(name.upper(), there.url(name))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": f"{there.url('two')}/v1",
        "ANTHROPIC_API_KEY": "k",
        "ANTHROPIC_API_BASE": there.url("one"),
        "COHERE_API_KEY": "k",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "CRITICAL",
    }
    ran = subprocess.run(  # noqa: S603 - our own text
        [python, "-c", text], capture_output=True, text=True, env=env, check=False, timeout=120
    )
    lines = [line for line in ran.stdout.splitlines() if line.strip() and not any(n in line for n in _NOISE)]
    failure = ran.stderr.strip().splitlines()[-1:] if ran.returncode else []
    return "\n".join([*lines, *failure])


def main(python: str, *parts: str) -> int:
    """Compare every program whose name holds one of the parts; 1 if one differs without saying so."""
    surprises = 0
    with outside() as there:
        for program in PROGRAMS:
            if parts and not any(part in program.name for part in parts):
                continue
            there.behave(program.behaviours)
            theirs = printed(program, there, python)
            same = theirs == program.prints.strip()
            surprises += same == bool(program.differs)
            asked = ", ".join(f"{name} {there.requests(name)}" for name in NAMES)
            print(f"{'same' if same else 'differs'}: {program.name} (requests: {asked})")
            if not same:
                print(f"    LiteLLM prints {theirs!r}", f"we print {program.prints!r}", sep="\n    ")
                print(f"    {program.differs or 'and nobody says why'}")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
