"""The page's modules as one script, because a browser loads no modules from a file. Pure.

Invariant: the script does what the modules do. They keep to one form: an import is one line that names what it takes,
an export stands before a function or a constant, and imports make no circle; anything else is a ValueError.
"""

import posixpath
import re
from collections.abc import Callable

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "(\.{1,2}/[\w./-]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const) (\w+)", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def bundle(start: str, read: Callable[[str], str]) -> str:
    """`read` returns the text of a module by its path from the page's folder. Raises ValueError."""
    made: dict[str, str] = {}
    _add(start, read, made, ())
    return "\n".join(['"use strict";', "const modules = {};", *made.values()])


def _add(path: str, read: Callable[[str], str], made: dict[str, str], above: tuple[str, ...]) -> None:
    if path in above:
        raise ValueError(f"imports make a circle: {' -> '.join((*above, path))}")
    if path in made:
        return
    text = read(path)

    def where(found: re.Match[str]) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))

    for found in _IMPORT.finditer(text):
        _add(where(found), read, made, (*above, path))
    names = [found[2] for found in _EXPORT.finditer(text)]
    body = _IMPORT.sub(lambda found: f'const {{ {found[1]} }} = modules["{where(found)}"];', text)
    body = _EXPORT.sub(r"\1 \2", body)
    if (left := _LEFT.search(body)) is not None:
        raise ValueError(f"{path}: a bundle does not know the form of {left[0]!r}")
    made[path] = f'modules["{path}"] = (() => {{\n{body}\nreturn {{ {", ".join(names)} }};\n}})();'
