"""The loader: precedence, sources, and errors that name path, place and remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.admission_limits import AdmissionLimits
from infra.settings.load import described, described_text, leaves, load, resolve, settings_json, without_secrets
from infra.settings.sources import (
    InvalidSettingsError,
    Layer,
    Option,
    find_recipe,
    flatten,
    option_layer,
    parse_assignment,
    recipe_names,
    toml_lines,
)
from infra.settings.tree import BrokerKind, Settings

RECIPE = """\
# a recipe
[learner]
learning_rate = 2e-5
minibatches = 4

[rollout.sampling]
max_new_tokens_by_domain = { mathematics = 8 }
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    return path


def wrong(tmp_path: Path, text: str) -> str:
    """What a recipe with this text is refused with."""
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InvalidSettingsError) as caught:
        load(str(path))
    return str(caught.value).replace(str(path), "wrong.toml")


def test_nothing_given_is_the_tree_itself() -> None:
    resolved = load()
    assert resolved.settings == Settings()
    assert set(resolved.sources.values()) == {"default"}


def test_each_layer_wins_over_the_one_below(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(str(recipe)).settings.learner.learning_rate == 2e-5
    monkeypatch.setenv("REWARDSTREAM_LEARNER__LEARNING_RATE", "3e-5")
    assert load(str(recipe)).settings.learner.learning_rate == 3e-5
    options = [parse_assignment("learner.learning_rate=4e-5")]
    assert load(str(recipe), options).settings.learner.learning_rate == 4e-5
    options.append(Option("learner.learning_rate", 5e-5, "--learning-rate"))
    assert load(str(recipe), options).settings.learner.learning_rate == 5e-5


def test_a_layer_leaves_the_rest_of_its_section_alone(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSTREAM_LEARNER__LEARNING_RATE", "3e-5")
    assert load(str(recipe)).settings.learner.minibatches == 4


def test_every_value_has_its_source(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSTREAM_ROLLOUT__SAMPLING__TEMPERATURE", "0.7")
    resolved = load(str(recipe), [parse_assignment("genrm.batch=3")])
    assert resolved.sources["learner.learning_rate"] == f"{recipe}:3"
    assert resolved.sources["rollout.sampling.max_new_tokens_by_domain.mathematics"] == f"{recipe}:7"
    assert resolved.sources["rollout.sampling.temperature"] == "environment REWARDSTREAM_ROLLOUT__SAMPLING__TEMPERATURE"
    assert resolved.sources["genrm.batch"] == "option --set genrm.batch=3"
    assert resolved.sources["run.seed"] == "default"
    assert resolved.sources.keys() == {path for path, _ in leaves(resolved.settings)}


def test_dry_run_text_names_value_and_source(recipe: Path) -> None:
    lines = described_text(load(str(recipe))).splitlines()
    found = next(line for line in lines if line.startswith("learner.learning_rate ="))
    assert found.split() == ["learner.learning_rate", "=", "2e-05", "#", f"{recipe}:3"]


def test_dry_run_shows_no_secret() -> None:
    options = [Option("genrm.api_key", "hush", "-"), Option("database.url", "postgresql://me:hush@host/db", "-")]
    options += [
        Option("crosscheck.judge", {"model": "m", "api_key": "hush"}, "-"),
        Option("crosscheck.scorers", {"genrm": "judge"}, "-"),
    ]
    resolved = load(options=options)
    shown = {path: value for path, value, _ in described(resolved)}
    assert "hush" not in str(shown)
    assert "hush" not in str(without_secrets(resolved.settings))
    assert shown["database.url"] == "postgresql://me@host/db"
    assert shown["database.password"] == "***"


def test_kafka_home_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", "/opt/kafka")
    resolved = load()
    assert resolved.settings.broker.kafka_home == Path("/opt/kafka")
    assert resolved.sources["broker.kafka_home"] == "environment KAFKA_HOME"
    assert load(options=[parse_assignment("broker.kafka_home=/mine")]).settings.broker.kafka_home == Path("/mine")


def test_written_settings_read_back_and_the_environment_does_not_change_them(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(str(recipe), [parse_assignment("run.seed=7")]).settings
    file = tmp_path / "settings.json"
    file.write_bytes(settings_json(settings))
    monkeypatch.setenv("REWARDSTREAM_RUN__SEED", "8")
    resolved = load(str(file))
    assert resolved.settings == settings
    assert resolved.sources["run.seed"] == str(file)


def test_tables_are_json_in_environment_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSTREAM_SELECTOR__DOMAIN_SHARES", '{"writing": 2}')
    settings = load(options=[parse_assignment("learner.betas=[0.8, 0.9]")]).settings
    assert settings.selector.domain_shares == {"writing": 2.0}
    assert settings.learner.betas == (0.8, 0.9)


def test_wrong_key_names_line_and_what_was_meant(tmp_path: Path) -> None:
    text = wrong(tmp_path, "[learner]\nminibatches = 2\nlearning_rte = 1e-5\n")
    assert "learner.learning_rte (wrong.toml:3): no such setting; did you mean learner.learning_rate" in text


def test_wrong_section_names_line_and_what_was_meant(tmp_path: Path) -> None:
    text = wrong(tmp_path, "\n[lerner]\nminibatches = 2\n")
    assert text == "lerner (wrong.toml:2): no such setting; did you mean learner?"


def test_key_of_another_section_is_found_there(tmp_path: Path) -> None:
    assert "did you mean rollout.sampling.temperature?" in wrong(tmp_path, "[learner]\ntemperature = 1\n")


def test_key_that_resembles_nothing_names_what_is_allowed(tmp_path: Path) -> None:
    assert "allowed in metrics: port, host" in wrong(tmp_path, "[metrics]\nxyzzy = 1\n")


def test_wrong_value_names_line_and_what_is_allowed(tmp_path: Path) -> None:
    text = wrong(tmp_path, '[learner]\nparam_dtype = "float31"\n')
    assert text == "learner.param_dtype (wrong.toml:2): input should be 'float32' or 'bfloat16'; got 'float31'"


def test_value_out_of_bounds_names_the_bound(tmp_path: Path) -> None:
    text = wrong(tmp_path, "[selector]\n\n[selector.preppo]\nkeep_share = 1.5\n")
    assert text == "selector.preppo.keep_share (wrong.toml:4): input should be less than or equal to 1; got 1.5"


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(wrong(tmp_path, "[learner]\nfoo = 1\ngamma = 2\n[metrics]\nport = -1\n").splitlines()) == 3


def test_combination_that_cannot_work_is_refused(tmp_path: Path) -> None:
    assert "set learner.value.kind" in wrong(tmp_path, '[learner.value]\nkind = "none"\n')
    of_the_window = wrong(tmp_path, "[selector.admission]\nstaleness = 4\n")  # S + ceil((W - 1) / P) = 4 + 11 / 8
    assert "learner.max_staleness = 4 drops" in of_the_window
    assert "age 6 versions at most" in of_the_window
    assert "set it to 7" in of_the_window


def test_file_that_does_not_parse_names_the_line(tmp_path: Path) -> None:
    assert "line 2" in wrong(tmp_path, "[learner]\nlearning_rate =\n")


def test_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSTREAM_LERNER__GAMMA", "1")
    with pytest.raises(
        InvalidSettingsError, match=r"lerner \(environment REWARDSTREAM_LERNER__GAMMA\): no such setting"
    ):
        load()


def test_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSTREAM_METRICS__PORT", "many")
    with pytest.raises(InvalidSettingsError, match=r"metrics\.port \(environment REWARDSTREAM_METRICS__PORT\)"):
        load()


@pytest.mark.parametrize("text", ["learner.gamma", "=1", "learner.betas=[1"])
def test_assignment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingsError, match="--set"):
        parse_assignment(text)


def test_recipe_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(InvalidSettingsError, match=r"no-such: no such file.*demo, demo-value, .*production"):
        find_recipe("no-such")


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_load_and_train_on_all_that_their_window_admits(name: str) -> None:
    site = [("broker.bootstrap_servers", "k:9092"), ("genrm.endpoint", "http://judge/v1")]
    settings = load(name, [Option(path, value, "-") for path, value in site]).settings
    assert settings.broker.kind in BrokerKind
    lag_of_engines = 1
    assert AdmissionLimits.of(settings.selector.admission).max_age + lag_of_engines <= settings.learner.max_staleness


def test_lines_of_dotted_and_quoted_keys() -> None:
    text = '[a]\nb.c = 1\n"d" = 2\n[a.e]\n# b = 3\nf = 4\n'
    assert toml_lines(text) == {"a": 1, "a.b.c": 2, "a.d": 3, "a.e": 4, "a.e.f": 6}


scalars = st.one_of(st.integers(), st.booleans(), st.text(max_size=5))
names = st.text("abcdefg", min_size=1, max_size=3)
trees = st.one_of(scalars, st.dictionaries(names, scalars, min_size=1, max_size=3))


@given(st.dictionaries(names, trees, max_size=4))
def test_options_rebuild_what_was_flattened(tree: dict[str, object]) -> None:
    assert option_layer(Option(path, value, "-") for path, value in flatten(tree)).values == tree


@given(st.floats(1e-7, 1), st.floats(1e-7, 1))
def test_the_last_layer_wins(first: float, second: float) -> None:
    layers = [
        Layer({"learner": {"learning_rate": value}}, {"learner.learning_rate": name})
        for name, value in (("a", first), ("b", second))
    ]
    resolved = resolve(layers)
    assert resolved.settings.learner.learning_rate == second
    assert resolved.sources["learner.learning_rate"] == "b"
