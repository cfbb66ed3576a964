"""The modules as one script: their texts in the order of their imports."""

import pytest

from infra.page.serving.answers import static
from infra.page.serving.bundle import bundle


def made(**modules):
    return bundle("main.js", {f"{name}.js": text for name, text in modules.items()}.__getitem__)


def test_imports_become_constants_and_come_first():
    script = made(
        main='import { a, b } from "./lib.js";\nconst here = a + b;', lib="export const a = 1;\nexport function b() {}"
    )
    assert script.index('modules["lib.js"]') < script.index('modules["main.js"]')
    assert 'const { a, b } = modules["lib.js"];' in script
    assert "return { a, b };" in script
    assert "export" not in script
    assert "import" not in script


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"main": "export default 3;"}, "export default"),
        ({"main": 'import lib from "./lib.js";', "lib": ""}, "import lib"),
        ({"main": 'import { a } from "./lib.js";', "lib": 'import { b } from "./main.js";'}, "circle"),
    ],
)
def test_another_form_is_refused(modules, said):
    with pytest.raises(ValueError, match=said):
        made(**modules)


def test_the_pages_own_modules_fit_the_form():
    script = bundle("main.js", lambda path: static().joinpath(*path.split("/")).read_text(encoding="utf-8"))
    for file in (static() / "views").iterdir():
        assert f'modules["views/{file.name}"]' in script
