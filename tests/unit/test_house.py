"""The layers contracts cover every module, a class name has one meaning, docstrings are sentences, and pages name
files that exist.
"""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "workers", "trainer", "infra")
APART = ("infra.docs.examples", "infra.install", "infra.migrations", "workers.verifiers.example")
"""Scripts and a user's example: nothing of the project imports them."""
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]

_FRAGMENT = re.compile(r"(Of|By|As|That|Whose|Whoever|Where)\b")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def modules() -> dict[str, Path]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.stat().st_size]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    return {name: file for name, file in names.items() if not is_in(name, APART)}


def is_in(module: str, packages: tuple[str, ...] | set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def layers_of(contract: dict[str, object]) -> set[str]:
    layers = contract.get("layers", [])
    assert isinstance(layers, list)
    return {module.strip() for layer in layers for module in layer.split("|")}


def test_every_module_has_a_floor() -> None:
    floors = layers_of(CONTRACTS[0])
    assert [name for name in modules() if not is_in(name, floors)] == []


def test_every_room_that_a_contract_orders_is_ordered_whole() -> None:
    for contract in CONTRACTS[1:]:
        rooms = layers_of(contract)
        parents = {room.rpartition(".")[0] for room in rooms}
        inside = [name for name in modules() if is_in(name, parents) and name not in parents]
        assert [name for name in inside if not is_in(name, rooms)] == [], contract["name"]


def test_each_public_class_name_is_defined_once() -> None:
    places = defaultdict(list)
    for name, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name: homes for name, homes in places.items() if len(homes) > 1} == {}


def test_no_docstring_begins_with_a_fragment() -> None:
    """A sentence has a subject and a verb (CONTRIBUTING.md), in the tests, too."""
    files = [*modules().values(), *(ROOT / "tests").rglob("*.py")]
    strings = [
        (f"{file.relative_to(ROOT)}:{node.lineno}", node.value.value.strip())
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    assert len(strings) > len(files)
    assert [f"{place}: {text[:60]}" for place, text in strings if _FRAGMENT.match(text)] == []


def test_links_of_the_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(page for package in PACKAGES for page in (ROOT / package).rglob("*.md"))]
    links = [(page, link) for page in pages for link in _LINK.findall(page.read_text(encoding="utf-8"))]
    assert links
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_the_code_map_names_every_floor() -> None:
    code_map = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Code map")[2]
    floors = {floor.rpartition(".")[2] for floor in layers_of(CONTRACTS[0])}
    assert [floor for floor in floors if not re.search(rf"\b{floor}\b", code_map)] == []
