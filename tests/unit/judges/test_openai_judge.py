"""The judge behind an endpoint: the same scores as the model behind it, and no score from one that misbehaves."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_contract import FRANCE, REQUESTS, JudgeContract
from judge_server import JudgeServer, serving
from tiny_judge import save_tiny_judge

from infra.settings.genrm import GenRMSettings
from workers.judges.base import JudgeRequest, JudgeUnavailableError
from workers.judges.factory import build_judge
from workers.judges.openai import OpenAIJudge
from workers.judges.prompt import PromptForm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[JudgeServer]:
    with serving(folder) as found:
        yield found


@pytest.fixture
def judge(server: JudgeServer) -> Iterator[OpenAIJudge]:
    server.mode = "well"
    found = OpenAIJudge(server.endpoint, "tiny", timeout_seconds=30, form=PromptForm.SHORT)
    yield found
    found.close()


class TestOpenAIJudge(JudgeContract):
    pass


@pytest.mark.parametrize("mode", ["well", "no completions"])
@pytest.mark.parametrize("form", list(PromptForm))
def test_scores_equal_those_of_the_model_behind_it(
    server: JudgeServer, folder: Path, mode: str, form: PromptForm
) -> None:
    server.mode = mode
    remote = build_judge(GenRMSettings(backend="openai", endpoint=server.endpoint, model="tiny", prompt=form.value))
    local = build_judge(GenRMSettings(model=str(folder), dtype="float32", prompt=form.value))
    for own, other in zip(local.judge(REQUESTS), remote.judge(REQUESTS), strict=True):
        assert other.score == pytest.approx(own.score, abs=1e-3)
        assert other.uncovered == pytest.approx(own.uncovered, abs=1e-3)
    remote.close()


def test_a_server_without_completions_is_asked_for_them_once(server: JudgeServer, judge: OpenAIJudge) -> None:
    server.mode = "no completions"
    judge.judge(REQUESTS[:1])
    server.paths.clear()
    judge.judge(REQUESTS[:1])
    assert server.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("500", "HTTP 500"),
        ("429", "HTTP 429"),
        ("400", "HTTP 400: .*on purpose"),
        ("404", "neither /completions nor /chat/completions"),
        ("garbage", "not JSON"),
        ("other shape", "unexpected answer"),
        ("one choice short", "0 choices for 1 prompts"),
        ("neither", "the likeliest tokens are"),
    ],
)
def test_a_server_that_misbehaves_is_no_score(server: JudgeServer, judge: OpenAIJudge, mode: str, why: str) -> None:
    server.mode = mode
    with pytest.raises(JudgeUnavailableError, match=why) as raised:
        judge.judge([JudgeRequest(FRANCE, "Paris")])
    assert server.endpoint in str(raised.value)
    server.mode = "well"
    assert judge.judge([JudgeRequest(FRANCE, "Paris")])[0].score > 0


def test_a_server_that_hangs_is_no_score(server: JudgeServer) -> None:
    server.mode = "hang"
    judge = OpenAIJudge(server.endpoint, "tiny", timeout_seconds=0.3)
    with pytest.raises(JudgeUnavailableError, match="ReadTimeout"):
        judge.judge([JudgeRequest(FRANCE, "Paris")])
    judge.close()


def test_a_server_that_is_not_there_is_no_score() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        absent = OpenAIJudge(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny")
        with pytest.raises(JudgeUnavailableError, match="ConnectError"):
            absent.judge([JudgeRequest(FRANCE, "Paris")])
        absent.close()


@pytest.mark.parametrize("key", ["", "secret"])
def test_the_key_goes_into_the_header_only(key: str) -> None:
    judge = OpenAIJudge("http://127.0.0.1:1/v1", "tiny", api_key=key)
    assert judge._client.headers.get("Authorization") == (f"Bearer {key}" if key else None)
    judge.close()
