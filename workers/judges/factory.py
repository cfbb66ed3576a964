"""Builds the judge that the settings name."""

from pathlib import Path

from infra.settings.genrm import GenRMSettings
from infra.settings.tree import RunSettings
from workers.judges.base import Judge
from workers.judges.judge import GenerativeJudge
from workers.judges.judging_scheme import JudgingScheme, Voting
from workers.judges.model import VerdictModel
from workers.judges.openai import OpenAIModel
from workers.judges.prompt import PromptForm
from workers.judges.rubrics import load_rubrics


def build_judge(settings: GenRMSettings, prepared: Path | None = None) -> Judge:
    """`prepared` is the folder that keeps an unpacked demo model. An endpoint is not contacted before its first
    request.

    Raises RubricError, and ModelFilesError, OSError or ValueError if the model does not load.
    """
    if settings.backend == "bt":
        return _build_bradley_terry(settings, prepared)
    scheme = judging_scheme(settings)
    return GenerativeJudge(_build_model(settings, scheme, prepared), scheme)


def _build_bradley_terry(settings: GenRMSettings, prepared: Path | None) -> Judge:
    import torch

    from workers.judges.bradley_terry_judge import BradleyTerryJudge
    from workers.models.model_files import resolve_model

    if settings.threads:
        torch.set_num_threads(settings.threads)
    folder = resolve_model(settings.model, prepared or RunSettings().prepared, setting="genrm.model")
    return BradleyTerryJudge(folder, settings.dtype)


def judge_version(settings: GenRMSettings, prepared: Path | None = None) -> str:
    """The version that `build_judge`'s judge will have, without loading its model. Raises RubricError, and
    ModelFilesError or OSError if the model is not there.
    """
    if settings.backend == "openai":
        judge = build_judge(settings, prepared)
        judge.close()
        return judge.version
    from workers.judges.hf import version_of, weights_hash
    from workers.models.model_files import resolve_model

    folder = resolve_model(settings.model, prepared or RunSettings().prepared, setting="genrm.model")
    if settings.backend == "bt":
        return f"{weights_hash(folder)}-{settings.dtype}"
    return version_of(weights_hash(folder), judging_scheme(settings).tag, settings.dtype)


def judging_scheme(settings: GenRMSettings) -> JudgingScheme:
    """Raises RubricError."""
    voting = Voting(settings.votes, settings.vote_temperature, settings.vote_tokens) if settings.votes else None
    return JudgingScheme(
        prompt=PromptForm.SHORT if settings.short else PromptForm.RUBRIC,
        verdicts=settings.verdicts,
        both_orders=settings.orders == "both" or (settings.orders == "auto" and not settings.short),
        references=settings.references,
        voting=voting,
        rubrics=load_rubrics(settings.rubrics, settings.rubrics_path),
        characters=settings.response_characters,
    )


def _build_model(settings: GenRMSettings, scheme: JudgingScheme, prepared: Path | None) -> VerdictModel:
    if settings.backend == "openai":
        return OpenAIModel(
            settings.endpoint,
            settings.model,
            scheme,
            api=settings.api,
            api_key=settings.read_api_key(),
            timeout_seconds=settings.timeout_seconds,
            connections=settings.connections,
        )
    from workers.judges.hf import HfModel
    from workers.models.model_files import resolve_model

    folder = resolve_model(settings.model, prepared or RunSettings().prepared, setting="genrm.model")
    return HfModel(folder, scheme, settings.dtype, settings.threads)
