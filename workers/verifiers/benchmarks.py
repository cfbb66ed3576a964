"""IFEval's and IFBench's checkers from if-verifiable, without what importing that package does on the side.

Invariant: importing this module loads no data set library and downloads nothing. Checkers are deterministic: language
detection is seeded, and arguments that a checker would draw at random must be given.
"""

import importlib.util
import random
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import nltk
from langdetect import DetectorFactory

DetectorFactory.seed = 0
SEEDS = (0, 1)


class ArgumentsError(ValueError):
    """A checker lacks an argument, or refuses one; the prompt's options are at fault."""


def _registries() -> dict[str, Any]:
    """Checker classes by instruction id. The package's own __init__ imports the `datasets` library, which costs half a
    second and 100 MB in each process; its module of tables downloads NLTK's data at import.
    """
    name = "if_verifiable"
    if name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("if-verifiable is not installed: pip install if-verifiable")
        package = ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[name] = package
    download, nltk.download = nltk.download, lambda *_args, **_options: False
    try:
        from if_verifiable.ifbench import instructions_registry as ifbench
        from if_verifiable.ifeval import instructions_registry as ifeval
    finally:
        nltk.download = download
    return {**ifbench.INSTRUCTION_DICT, **ifeval.INSTRUCTION_DICT}


REGISTRY = _registries()


def follows(instruction: str, arguments: Mapping[str, Any], prompt: str, response: str) -> bool:
    """Strict, on the response as it stands. Raises KeyError for an unknown id, ArgumentsError, and LookupError (from
    NLTK) where its data is not installed.
    """
    checkers = [_build(instruction, arguments, prompt, seed) for seed in SEEDS]
    built = [checker.get_instruction_args() for checker in checkers]
    if built[0] != built[1]:
        missing = sorted(key for key in built[0] if built[0][key] != built[1][key])
        raise ArgumentsError(f"{instruction} needs kwargs: {', '.join(missing)}")
    return bool(checkers[0].check_following(response))


def _build(instruction: str, arguments: Mapping[str, Any], prompt: str, seed: int) -> Any:
    checker = REGISTRY[instruction](instruction)
    random.seed(seed)
    try:
        checker.build_description(**arguments)
        if "prompt" in (checker.get_instruction_args() or {}):
            checker.build_description(prompt=prompt)
    except (TypeError, ValueError, AttributeError) as error:
        raise ArgumentsError(f"{instruction} with kwargs {dict(arguments)}: {error}") from error
    return checker
