"""The table of services: every module is there with its `main`, and the table needs no installed package."""

import ast
import subprocess
import sys
from pathlib import Path

from infra.services import Service
from infra.settings.tree import Settings

ROOT = Path(__file__).parents[3]


def main_of(service: Service) -> ast.FunctionDef:
    file = ROOT / f"{service.traits.module.replace('.', '/')}.py"
    functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
    (found,) = [function for function in functions if function.name == "main"]
    return found


def test_every_module_has_a_main_of_settings_and_broker() -> None:
    for service in Service:
        arguments = [argument.arg for argument in main_of(service).args.args]
        assert arguments[:2] == ["settings", "bootstrap"], service
        assert len(arguments) == (3 if service.traits.rereads_settings else 2), service


def test_threads_are_those_of_the_settings() -> None:
    values = {"learner": {"threads": 3}, "genrm": {"threads": 0}, "rollout": {"engine": {"threads": 2}}}
    settings = Settings.model_validate(values)
    assert {service.value: service.traits.threads(settings) for service in Service} == {
        "router": 1,
        "rtv": 1,
        "genrm": 0,
        "difficulty": 1,
        "crosscheck": 1,
        "selector": 1,
        "rollout": 2,
        "learner": 3,
    }


def test_the_compose_demo_reads_it_with_python_alone() -> None:
    command = [sys.executable, "-E", "-S", "-c", "import infra.compose.demo"]
    subprocess.run(command, cwd=ROOT, check=True)
