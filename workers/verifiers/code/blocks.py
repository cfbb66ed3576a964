"""The program in a response: the last fenced block, or all of it where there is none.

Invariant: fences are CommonMark's: three or more of one character, closed by as many or more on a line of their own.
A block that nothing closes runs to the end.
"""

import re

_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)\Z")


def program_of(answer: str) -> str:
    blocks = fenced_blocks(answer)
    return blocks[-1] if blocks else answer


def fenced_blocks(text: str) -> list[str]:
    blocks: list[str] = []
    lines: list[str] = []
    opening = ""
    for line in text.split("\n"):
        match = _FENCE.match(line.rstrip())
        if opening:
            if match and match["fence"].startswith(opening) and not match["info"].strip():
                blocks.append("\n".join(lines))
                opening = ""
            else:
                lines.append(line)
        elif match and not (match["fence"][0] == "`" and "`" in match["info"]):
            opening, lines = match["fence"], []
    if opening:
        blocks.append("\n".join(lines))
    return blocks
