"""Structured output: one JSON value, strictly read, that satisfies a JSON Schema and equals the reference, if given.

Invariants
- What is read is JSON (RFC 8259) without duplicate keys, within bounds of depth and digits.
- Formats are those of their RFCs, patterns those of ECMA-262, and `multipleOf` divides the numbers as they are written.
- A schema never reaches the network; one that is broken is the prompt's defect.
"""

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar, NoReturn

import msgspec
from jsonschema import Draft3Validator, Draft202012Validator, SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable

from streams.messages import Question, Status
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.strict_json import NotJsonError, candidates, depth_of, equal, parse
from workers.verifiers.base import BaseVerifier, Verdict, flag
from workers.verifiers.text.ecma_pattern import EcmaPatternError
from workers.verifiers.text.json_formats import DRAFT_3, FORMATS, format_checker, is_regex
from workers.verifiers.text.json_keywords import keywords

SHALLOW = 20
"""Levels of a value that no schema which ends is too deep for: one level takes some 15 of a process's 3,000 frames."""
_MISSING = object()
_TAG = re.compile(r"(?<!`)<(?P<close>/?)answer>", re.IGNORECASE)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


class EndlessError(ValueError):
    """A schema whose references lead back to themselves."""


class JsonVerifier(BaseVerifier):
    name = "json"
    version = "3"
    policy = (
        "Only the text after the reasoning block counts: the JSON in `<answer>` tags, if there are any, and there "
        "in fenced blocks, or else the whole text, which must be one JSON value; with extra_text prose may also be "
        "around an unfenced object or list. "
        "Duplicate keys, NaN, Infinity, comments, trailing commas and values that disagree are refused. It must "
        "satisfy the schema and equal the reference, if given: 1 equals 1.0, but neither true nor a string; the order "
        "of keys does not count, that of lists does."
    )
    options: ClassVar[Mapping[str, str]] = {
        "schema": "a JSON Schema; draft 2020-12 unless its $schema names another; formats are checked by their RFCs, "
        "and patterns are ECMA-262's",
        "extra_text": "true: prose around unfenced JSON is permitted (default false)",
    }

    def judge(self, question: Question, response: str) -> Verdict:
        try:
            validator = _validator(question.options)
            gold = _gold(question.ground_truth, required=validator is None)
        except (SchemaError, NotJsonError, TypeError, ValueError, RecursionError) as error:
            text = getattr(error, "message", str(error))
            return self._refused(f"schema or reference: {text[:200]}")
        try:
            return self._judge(validator, gold, _value(question.options, response))
        except NotJsonError as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error)[:200])
        except TimeoutError:
            return self._verdict(0.0, Status.TIMEOUT, "a pattern of the schema takes too long on the value")
        except (Unresolvable, EndlessError, EcmaPatternError) as error:
            return self._refused(f"schema: {error!s:.200}: no reference is fetched, and patterns must compile")

    def _judge(self, validator: Validator | None, gold: Any, value: Any) -> Verdict:
        """Raises Unresolvable, EcmaPatternError, EndlessError, NotJsonError, TimeoutError."""
        error = _first_error(validator, value) if validator is not None else None
        if error is not None:
            return self._verdict(0.0, Status.WRONG, f"at {error.json_path}: {error.message[:200]}")
        if gold is not _MISSING and not equal(gold, value):
            return self._verdict(0.0, Status.WRONG, "the value is not the reference")
        return self._verdict(1.0, Status.CORRECT, "valid JSON as asked")


def _first_error(validator: Validator, value: Any) -> ValidationError | None:
    """Raises EndlessError if the schema has no end, NotJsonError if the value is too deep for it."""
    try:
        return next(iter(validator.iter_errors(value)), None)
    except RecursionError as error:
        if depth_of(json.dumps(value)) > SHALLOW:
            raise NotJsonError("nested too deeply for its schema") from error
        raise EndlessError("it refers to itself without end") from error


def _value(options: Mapping[str, Any], response: str) -> Any:
    """Raises NotJsonError."""
    extra = flag(options, "extra_text")
    texts = _tagged(after_reasoning(response))
    values = [parse(text) for part in texts for text in candidates(part, extra_text=extra)]
    if any(not equal(values[0], value) for value in values[1:]):
        raise NotJsonError("the JSON values disagree")
    return values[0]


def _tagged(text: str) -> list[str]:
    """The contents of `<answer>` tags outside of fences and of a bare value; all, if there are none. The last may lack
    its end, at which sampling often stops.
    """
    if "<" not in text or text[:1] in ("{", "[", '"') or not (tags := list(_TAG.finditer(text))):
        return [text]
    found, start, fenced, at = [], None, False, 0
    for tag in tags:
        fenced ^= len(_FENCE_LINE.findall(text, at, tag.start())) % 2 == 1
        at = tag.end()
        if tag["close"] and start is not None:
            found.append(text[start : tag.start()])
            start, fenced = None, False
        elif not tag["close"] and not fenced:
            start, fenced = tag.end(), False
    if start is not None:
        found.append(text[start:])
    return found or [text]


def _gold(reference: str | None, *, required: bool) -> Any:
    """Raises NotJsonError."""
    if reference is not None and reference.strip():
        return parse(reference)
    if required:
        raise NotJsonError("the question has neither")
    return _MISSING


def _validator(options: Mapping[str, Any]) -> Validator | None:
    """Raises SchemaError; TypeError if the schema is neither an object nor a boolean."""
    schema = options.get("schema")
    if schema is None:
        return None
    if not isinstance(schema, Mapping | bool):
        raise TypeError(f"a schema is an object or a boolean, not {type(schema).__name__}")
    return _built(msgspec.json.encode(schema))


@lru_cache(maxsize=256)
def _built(schema: bytes) -> Validator:
    """Raises SchemaError."""
    own = json.loads(schema)
    kind = validator_for(own, default=Draft202012Validator)
    kind.check_schema(own, format_checker=format_checker({"regex": is_regex}))
    registry: Registry[Any] = Registry(retrieve=_refuse)  # type: ignore[call-arg]  # its attrs fields are not seen
    formats = format_checker(DRAFT_3 if kind is Draft3Validator else FORMATS)
    validator: Validator = _strict(kind)(own, registry=registry, format_checker=formats)
    return validator


@cache
def _strict(kind: type[Validator]) -> type[Validator]:
    found: type[Validator] = extend(kind, keywords(kind.VALIDATORS))
    return found


def _refuse(uri: str) -> NoReturn:
    raise NoSuchResource(ref=uri)  # type: ignore[call-arg]  # as above
