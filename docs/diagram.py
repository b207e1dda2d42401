"""Prints the state diagram of the commit protocol, drawn from its transition table, as Mermaid text."""  # noqa: INP001 - a script

import sys
from collections import defaultdict

from atomic_manifest.commit.messages import Creating, Posting
from atomic_manifest.commit.protocol import TRANSITIONS


def diagram() -> str:
    """The diagram: one arrow for each pair of states, labelled with the events that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (state, event), transition in TRANSITIONS.items():
        for following in sorted(target.__name__ for target in transition.leads_to):
            arrows[state.__name__, following].append(event.__name__)
    going_on = {state.__name__ for state, _ in TRANSITIONS}
    ends = sorted({following for _, following in arrows} - going_on)
    lines = [
        "stateDiagram-v2",
        f"    [*] --> {Creating.__name__}",
        f"    [*] --> {Posting.__name__}",
        *(f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in arrows.items()),
        *(f"    {end} --> [*]" for end in ends),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(diagram())
