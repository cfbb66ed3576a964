"""IFEval's and IFBench's checkers from if-verifiable, without the side effects of importing that package.

Invariant: importing this module loads no data set library and downloads nothing; what the checkers need of NLTK's data
is in `language_data`. Checkers are deterministic: language detection is seeded, and arguments that a checker would draw
at random must be given. A response that makes a checker raise does not follow the instruction; only wrong arguments
count against the prompt.
"""

import importlib.util
import random
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import nltk
from langdetect import DetectorFactory

from workers.verifiers.instructions.language_data import nltk_with_data, sentence_tokenizer
from workers.verifiers.instructions.mended import MENDED
from workers.verifiers.instructions.stricter import STRICTER

DetectorFactory.seed = 0
SEEDS = (0, 1)


class ArgumentsError(ValueError):
    """A checker lacks an argument, or refuses one; the prompt's options are at fault."""


def _load_registries() -> dict[str, Any]:
    """Returns the checker classes by instruction id. The package's own __init__ is not run: it imports the `datasets`
    library, which costs half a second and 100 MB per process. NLTK's download is disabled meanwhile: the package's
    module of tables downloads data at import.
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
        from if_verifiable.ifbench import instructions as ifbench_checkers
        from if_verifiable.ifbench import instructions_registry as ifbench_registry
        from if_verifiable.ifbench import instructions_util as ifbench_util
        from if_verifiable.ifeval import instructions_registry as ifeval_registry
        from if_verifiable.ifeval import instructions_util as ifeval_util
    finally:
        nltk.download = download
    complete = nltk_with_data()
    for module in (ifbench_checkers, ifbench_util, ifeval_util):
        module.nltk = complete
    ifbench_util._get_sentence_tokenizer = ifeval_util._get_sentence_tokenizer = sentence_tokenizer  # noqa: SLF001
    return {**ifbench_registry.INSTRUCTION_DICT, **ifeval_registry.INSTRUCTION_DICT}


REGISTRY = _load_registries()


def follows(instruction: str, arguments: Mapping[str, Any], prompt: str, response: str) -> bool:
    """Whether the response, as it is (IFEval's strict sense), follows the instruction.

    Raises KeyError for an unknown id, and ArgumentsError.
    """
    checkers = [_build_checker(instruction, arguments, prompt, seed) for seed in SEEDS]
    built = [checker.get_instruction_args() for checker in checkers]
    if built[0] != built[1]:
        drawn = sorted(key for key in built[0] if built[0][key] != built[1][key])
        refused = [f"{key} {arguments[key]!r}" for key in drawn if key in arguments]
        if refused:
            raise ArgumentsError(f"{instruction} refuses kwargs: {', '.join(refused)}")
        raise ArgumentsError(f"{instruction} needs kwargs: {', '.join(drawn)}")
    given = built[0] or arguments
    if instruction in MENDED:
        return _run_check(lambda: MENDED[instruction](response, given), instruction, arguments)
    return _run_check(lambda: checkers[0].check_following(response), instruction, arguments) and (
        instruction not in STRICTER or STRICTER[instruction](response, given)
    )


def _run_check(check: Callable[[], object], instruction: str, arguments: Mapping[str, Any]) -> bool:
    """Runs a check; one that raises has failed. Raises ArgumentsError if an argument is not a regular expression."""
    try:
        return bool(check())
    except re.error as error:
        raise ArgumentsError(f"{instruction} with kwargs {dict(arguments)}: {error}") from error
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  the checkers index and parse the response without checking it first
        return False


def _build_checker(instruction: str, arguments: Mapping[str, Any], prompt: str, seed: int) -> Any:
    checker = REGISTRY[instruction](instruction)
    random.seed(seed)
    try:
        checker.build_description(**arguments)
        if "prompt" in (checker.get_instruction_args() or {}):
            checker.build_description(prompt=prompt)
        if arguments.get("n_start") == 0:
            checker._n_start = 0  # noqa: SLF001  the package takes 0 for a missing argument
        letter = arguments.get("letter")
        if instruction == "keywords:letter_frequency" and isinstance(letter, str) and len(letter.strip()) == 1:
            checker._letter = letter.strip().lower()  # noqa: SLF001  the package replaces a character outside a to z
    except (TypeError, ValueError, AttributeError) as error:
        raise ArgumentsError(f"{instruction} with kwargs {dict(arguments)}: {error}") from error
    return checker
