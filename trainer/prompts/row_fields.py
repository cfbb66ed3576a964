"""The fields of a prompt from the columns of a row, each with the reason for which it may be refused.

Invariant: what is returned can be stored in Postgres, travels in one record, and can be judged by its scorer.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from infra.settings.evaluation import Skill
from streams.messages import Question
from streams.wide_integers import pack
from trainer.prompts.dataset_errors import RowError
from trainer.prompts.prompt_id import is_plain
from workers.verifiers.base import prompt_fault
from workers.verifiers.registry import load_verifier

SPLITS = {"train": "train", "heldout": "heldout", "test": "heldout", "validation": "heldout", "val": "heldout"}
ORIGINS = {"original": "original", "new": "new"}

_ROLES = ("system", "user", "assistant")
_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_MAX_DOMAIN = 64
"""Width of the database's column."""


def chat_turns(value: Any) -> tuple[dict[str, str], ...]:
    """Converts a prompt to chat turns: a text becomes one user turn. Raises RowError if the last turn is not the
    user's.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise RowError("no prompt: expected `messages` (a list of turns) or `prompt` (a text or a list of turns)")
    turns = []
    for turn in value:
        is_turn = type(turn) is dict or isinstance(turn, Mapping)
        role, content = (turn.get("role"), turn.get("content")) if is_turn else (None, None)
        if role not in _ROLES or not isinstance(content, str) or not content.strip():
            raise RowError(f"a turn needs a role from {_ROLES} and text as content, got {turn!r:.200}")
        turns.append({"role": str(role), "content": content})
    if turns[-1]["role"] != "user":
        raise RowError(f"the last turn must be the user's, got {turns[-1]['role']!r}")
    return tuple(turns)


def question_of(
    fields: Mapping[str, Any], messages: tuple[dict[str, str], ...], verifiers: tuple[str, ...] | None
) -> Question:
    verifier, veto, truth = fields.get("verifier"), fields.get("veto"), fields.get("ground_truth")
    for name in (verifier, veto):
        if name and verifiers is not None and name not in verifiers:
            raise RowError(f"unknown verifier {name!r}: installed are {', '.join(verifiers)}")
    if verifier and veto:
        raise RowError("`verifier` sends a prompt to RTV, `veto` checks what GenRM judges: give one of them")
    if isinstance(truth, int | float) and not isinstance(truth, bool):
        truth = str(truth)
    plain = {
        "prompt": messages[-1]["content"],
        "verifier": verifier or None,
        "veto": veto or None,
        "ground_truth": truth,
        "references": fields.get("references") or [],
        "options": _options(fields.get("options")),
    }
    try:
        question = msgspec.convert(plain, Question)
    except msgspec.ValidationError as error:
        raise RowError(f"a column has the wrong type: {error}") from error
    except UnicodeEncodeError as error:
        raise RowError(f"cannot be stored as JSON: {error}") from error
    _require_storable(question, messages, tuple(str(fields.get(name)) for name in ("domain", "source", "id")))
    return question


def require_judgeable(question: Question) -> None:
    """Raises RowError if the verifier or the veto could judge no response to the prompt, whose reference and options it
    reads here.
    """
    for name in (question.verifier, question.veto):
        if name is not None:
            try:
                fault = prompt_fault(load_verifier(name), question)
            except Exception as error:  # noqa: BLE001  a verifier may be anyone's; in a run its pool catches the same
                fault = f"it fails on it with {type(error).__name__}: {error}"
            if fault is not None:
                raise RowError(f"{name} cannot judge this prompt: {fault}")


def _options(value: Any) -> Any:
    """Decodes options. Parquet stores free-form options as JSON text, and returns absent keys of a struct as None."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RowError(f"options is text that is not JSON: {error}") from error
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if item is not None}
    return {} if value is None else value


def _require_storable(question: Question, messages: tuple[dict[str, str], ...], others: tuple[str, ...]) -> None:
    """Raises RowError for values that cannot be stored.

    Postgres takes no NUL in text and no NaN in JSON, and UTF-8 takes no lone surrogate.
    """
    try:
        if question.options and not is_plain(question.options):  # all else is text
            _STRICT.encode(question.options)
            pack(question.options)
        text = msgspec.json.encode((question, messages, others))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RowError(f"cannot be stored as JSON: {error}") from error
    if b"\\u0000" in text and b"\\u0000" in text.replace(
        b"\\\\", b""
    ):  # an escaped backslash before u0000 is plain text
        raise RowError("contains a NUL character, which Postgres cannot store")


def require_room(messages: tuple[dict[str, str], ...], question: Question, largest: int) -> None:
    """Raises RowError for a prompt that no record holds together with a response to it."""
    size = len(pack((messages, question)))
    if size > largest:
        raise RowError(
            f"prompt, reference and options have {size} bytes, more than {largest}, which is half of "
            "broker.max_message_bytes: shorten them, or raise it"
        )


def domain_of(fields: Mapping[str, Any]) -> str:
    domain = fields.get("domain")
    if not isinstance(domain, str) or not domain.strip() or len(domain) > _MAX_DOMAIN:
        raise RowError(
            f"domain must be a name of 1 to {_MAX_DOMAIN} characters, got {domain!r:.200}; --domain NAME gives one to "
            "all rows that have none"
        )
    return domain.strip()


def skill_of(value: Any, default: Skill | None) -> Skill | None:
    if value is None:
        return default
    try:
        return Skill(value)
    except ValueError as error:
        raise RowError(f"skill is {value!r:.100}: expected one of {', '.join(Skill)}") from error


def choice_of(fields: Mapping[str, Any], name: str, allowed: Mapping[str, str], default: str) -> str:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value not in allowed:
        raise RowError(f"{name} is {value!r:.100}: expected one of {', '.join(allowed)}")
    return allowed[value]
