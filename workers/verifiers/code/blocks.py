"""The program in a response: the fenced block that is the answer, or all of it if there is no fence.

Invariants
- Fences are CommonMark's: three or more of one character, closed by at least as many on a line of their own. A block
  loses the indentation of its fence, which may be in a list or a quotation. A block without a closing fence runs to
  the end.
- One block is chosen, by its language and by what it defines or reads, never by running it. Blocks of another language
  (output, a shell's commands) are passed over if there is one of the tests' language.
- No part of a response is parsed as a program on the host.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

_CONTAINER = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+|>[ \t]?)")
_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})(?P<info>.*)\Z")
_LANGUAGE = re.compile(r"[{.\s]*([\w+#-]*)")
_OPEN_TAG = re.compile(r"[ \t]*<answer>", re.IGNORECASE)
_LONGEST_LINE = 2000
"""Most characters of a line that is searched for the definition of a name; a definition is shorter."""
_CLOSER_INDENT = 3
"""Spaces by which a closing fence may be indented beyond its opening one."""
_TAB = 4
_PYTHON_NAMES = frozenset(["python", "python3", "py", "py3", "python2", "pypy", "pypy3", "cpython", "sage"])
_ALIASES = {
    "bash": frozenset(["bash", "sh", "shell", "zsh"]),
    "node": frozenset(["node", "js", "javascript", "mjs", "nodejs"]),
}
_READS_INPUT = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0\b|\bfileinput\b|\bread\s*\(\s*0\b|\braw_input\b")
_PROMPT_LINE = re.compile(r"[ \t]*(?:>>>|\.\.\.|\$|%|In \[\d+\]:)(?:[ \t]|$)")
_VALUE = re.compile(r"[-+\w.,:'\"\[\](){} \t]*\Z")
_STATEMENT = re.compile(
    r"[ \t]*(?:[A-Za-z_][\w.]*[ \t]*\(|(?:import|from|pass|raise|assert|del|async|def|class|for|while|if|try|with)\b)"
)
_LONGEST_OUTPUT = 10_000
"""Most characters of a block that is searched for a statement."""


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    """The first word after the opening fence, in lower case; empty if there is none."""
    source: str


def program_of(answer: str, *, language: str = "python", entry_point: str = "") -> str:
    """Returns the program that is tested as `language`; `entry_point` is the name that the tests call, empty for a
    program that reads its input.
    """
    answer = _take_tagged(answer)
    blocks = fenced_blocks(answer)
    if not blocks:
        return _dedent(answer)
    return _dedent(_choose_block(blocks, language, entry_point).source)


def fenced_blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    lines: list[str] = []
    opening, info, indent, quoted = "", "", 0, False
    for line in text.split("\n"):
        if opening:
            stripped = _strip_indentation(_strip_quotation(line) if quoted else line, indent)
            if _closes(stripped, opening):
                blocks.append(Block(_parse_language(info), "\n".join(lines)))
                opening = ""
            else:
                lines.append(stripped)
            continue
        column, rest, quoted = _split_container(line)
        match = _FENCE.match(rest.rstrip())
        if match and not (match["fence"][0] == "`" and "`" in match["info"]):
            opening, info, lines = match["fence"], match["info"], []
            indent = column + _width(rest[: match.start("fence")])
    if opening:
        blocks.append(Block(_parse_language(info), "\n".join(lines)))
    return blocks


def _choose_block(blocks: list[Block], language: str, entry_point: str) -> Block:
    """Returns the last block in the tests' language that defines the entry point or, without one, reads input."""
    own = [block for block in blocks if _is_language(block.language, language)]
    blocks = own or [block for block in blocks if not block.language] or blocks
    wanted: Callable[[str], bool] = _defines(entry_point) if entry_point else _reads_input
    programs = [block for block in blocks if not _is_output(block.source)] or blocks
    return next((block for block in reversed(programs) if wanted(block.source)), programs[-1])


def _defines(entry_point: str) -> Callable[[str], bool]:
    """Tests whether a text defines, assigns or imports the name, or the class of `Class.method`."""
    name = re.escape(entry_point.partition(".")[0])
    pattern = re.compile(
        rf"[ \t]*(?:(?:async[ \t]+)?(?:def|class)[ \t]+{name}\b"
        rf"|{name}[ \t]*(?::[^=]{{0,200}})?=(?!=)"
        rf"|(?:from[ \t]+[\w.]+[ \t]+)?import\b[^#]*\b{name}\b)"
    )
    return lambda source: any(pattern.match(line) for line in source.split("\n") if len(line) <= _LONGEST_LINE)


def _reads_input(source: str) -> bool:
    return _READS_INPUT.search(source) is not None


def _is_language(tag: str, language: str) -> bool:
    names = _PYTHON_NAMES if language == "python" else _ALIASES.get(language, frozenset([language.casefold()]))
    return tag in names


def _is_output(source: str) -> bool:
    """Whether it is empty, a transcript of a session, or only values, such as `3` or `[1, 2]`, which print nothing."""
    lines = [line for line in source.split("\n") if line.strip()]
    if not lines or _PROMPT_LINE.match(lines[0]):
        return True
    return len(source) <= _LONGEST_OUTPUT and all(map(_is_value, lines))


def _is_value(line: str) -> bool:
    return _VALUE.match(line) is not None and _STATEMENT.match(line) is None


def _take_tagged(answer: str) -> str:
    """Returns the content of the last `<answer>` that begins a line outside any fence; all if there is none."""
    if "<answer>" not in answer.casefold():
        return answer
    start, at, opening = None, 0, ""
    for line in answer.split("\n"):
        if opening:
            opening = "" if _closes(line.lstrip(), opening) else opening
        elif tag := _OPEN_TAG.match(line):
            start = at + tag.end()
            opening = _find_opening_fence(line[tag.end() :])
        else:
            opening = _find_opening_fence(line)
        at += len(line) + 1
    if start is None:
        return answer
    content, _, _ = answer[start:].rpartition("</answer>")
    return (content or answer[start:]).strip("\n")


def _find_opening_fence(line: str) -> str:
    """Returns the fence that the line opens, or an empty text."""
    match = _FENCE.match(_split_container(line)[1].rstrip())
    return match["fence"] if match and not (match["fence"][0] == "`" and "`" in match["info"]) else ""


def _closes(line: str, opening: str) -> bool:
    match = _FENCE.match(line.rstrip())
    return (
        match is not None
        and match["fence"].startswith(opening)
        and not match["info"].strip()
        and _width(line[: match.start("fence")]) <= _CLOSER_INDENT
    )


def _split_container(line: str) -> tuple[int, str, bool]:
    """Returns the columns that list marks take, the rest of the line, and whether it is quoted."""
    start, quoted = 0, False
    while match := _CONTAINER.match(line, start):
        quoted = quoted or line[match.start() : match.end()].strip() == ">"
        start = match.end()
    return (0 if quoted else _width(line[:start])), line[start:], quoted


def _strip_quotation(line: str) -> str:
    return re.sub(r"^[ \t]*(?:>[ \t]?)+", "", line)


def _strip_indentation(line: str, columns: int) -> str:
    """Removes at most `columns` columns of indentation from the line."""
    at = 0
    while columns > 0 and at < len(line) and line[at] in " \t":
        columns -= _TAB if line[at] == "\t" else 1
        at += 1
    return line[at:]


def _width(indentation: str) -> int:
    return sum(_TAB if character == "\t" else 1 for character in indentation)


def _dedent(source: str) -> str:
    """Removes the common indentation of a program that is indented as a whole."""
    first = next((line for line in source.split("\n") if line.strip()), "")
    return textwrap.dedent(source) if first[:1] in (" ", "\t") else source


def _parse_language(info: str) -> str:
    match = _LANGUAGE.match(info)
    return match[1].casefold() if match else ""
