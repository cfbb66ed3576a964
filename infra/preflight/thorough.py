"""Checks of a run before anything starts that load a tokenizer and ask the parts that are already running.

Invariant: nothing is started and nothing is written. A judge that is down is a note, since its stage waits for it.
"""

from collections.abc import Callable, Iterator

from infra.db.engine import DatabaseUnavailableError, DatabaseUrlError, connect
from infra.local.broker import resolve_kind
from infra.preflight.cheap import policy_folder
from infra.preflight.finding import Finding, missing, note, ok, wrong
from infra.settings.genrm import GenRMSettings
from infra.settings.tree import BrokerKind, Settings
from streams.clients.connect import BrokerUnavailableError, make_admin
from streams.messages import Question

_JUDGE_SECONDS = 20.0
"""Time limit of the one verdict: a loaded server answers in a few seconds, and nobody waits for a minute."""


def check_thoroughly(settings: Settings) -> list[Finding]:
    return [finding for check in _CHECKS for finding in check(settings)]


def _tokenizer(settings: Settings) -> Iterator[Finding]:
    from workers.models import chat

    folder = policy_folder(settings)
    if folder is None:
        return
    try:
        tokens = chat.encode_chat(chat.load_tokenizer(folder), [{"role": "user", "content": "2 + 2?"}])
    except Exception as error:  # noqa: BLE001 (a tokenizer's files and its template may be wrong in any way)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        mend = "correct the tokenizer's files; transformers' AutoTokenizer and apply_chat_template must take them"
        yield wrong("tokenizer", f"a prompt does not become tokens with {folder} ({reason})", mend)
    else:
        yield ok("tokenizer", f"a prompt of one turn becomes {len(tokens)} tokens")


def _architecture(settings: Settings) -> Iterator[Finding]:
    from transformers import AutoConfig

    from workers.models.layer_kinds import partial_layers

    folder = policy_folder(settings)
    if folder is None:
        return
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        yield wrong("model.path", f"transformers does not know the model in {folder} ({reason})", "correct config.json")
        return
    partial = partial_layers(config)
    if partial and settings.rollout.engine.kind == "hf":
        text = f"engine hf has no {', '.join(partial)}, which {config.model_type} has"
        yield wrong("rollout.engine.kind", text, "set rollout.engine.kind=vllm")


def _broker(settings: Settings) -> Iterator[Finding]:
    if resolve_kind(settings.broker) is not BrokerKind.CLUSTER:
        return
    try:
        make_admin(settings.broker, settings.broker.bootstrap_servers).close()
    except BrokerUnavailableError as error:
        yield missing("broker", str(error), "")
    else:
        yield ok("broker", f"{settings.broker.bootstrap_servers} answers")


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database.url:
        return
    try:
        connect(settings.database.full_url(), settings.database.connect_timeout_seconds).dispose()
    except DatabaseUrlError as error:
        yield wrong("database", str(error), "")
    except DatabaseUnavailableError as error:
        yield missing("database", str(error), "")
    else:
        yield ok("database", "it answers")


def _judge(settings: Settings) -> Iterator[Finding]:
    if settings.genrm.backend == "openai":
        yield ask_judge(settings.genrm)


def ask_judge(settings: GenRMSettings) -> Finding:
    """One verdict of the judge behind the endpoint."""
    from workers.judges.base import JudgeFailure, JudgeRequest, JudgeUnavailableError
    from workers.judges.factory import build_judge
    from workers.judges.rubrics import RubricError

    short = settings.model_copy(update={"timeout_seconds": min(settings.timeout_seconds, _JUDGE_SECONDS)})
    asked = JudgeRequest(Question(prompt="What is 2 + 2?", ground_truth="4"), "The answer is 4.")
    try:
        judge = build_judge(short)
    except RubricError as error:
        return wrong("judge", str(error), "")
    try:
        [found] = judge.judge([asked])
    except JudgeUnavailableError as error:
        return note("judge", str(error), "start its server, or correct genrm.endpoint and genrm.model; rollouts wait")
    finally:
        judge.close()
    if not isinstance(found, JudgeFailure):
        return ok("judge", f"it answers: {found.score:.2f} for a right answer")
    if not settings.votes:
        mend = "if the server gives no log-probabilities, set genrm.votes=8, which counts sampled verdicts"
        return wrong("judge", found.why, f"{mend}; otherwise correct genrm.endpoint, genrm.model and genrm.api_key")
    return wrong("judge", found.why, "correct genrm.endpoint, genrm.model and genrm.api_key")


_CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _tokenizer,
    _architecture,
    _broker,
    _database,
    _judge,
)
