"""The chart says what the code says: settings, commands, topics, rights, alerts and dashboards."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from support.helm.rendered_chart import CHART, LEAST, VALUES, Object, render, rendered
from support.helm.restricted_standard import containers

from infra.cli.main import app
from infra.helm import rights_file
from infra.services import Service
from infra.settings.load import load
from infra.settings.tree import Settings
from streams.admin import topic_specs
from streams.rights import RIGHTS, Resource, Right, rights_of

OF_FILE = pytest.mark.parametrize("file", VALUES, ids=lambda file: file.stem)
INFRA = CHART.parents[1]
WITH_STRIMZI = [CHART / "values-one-node.yaml", CHART / "values-64-gpus.yaml"]


def environment_of(pod: Object) -> dict[str, str]:
    return {
        variable["name"]: variable["value"]
        for container in containers(pod["spec"])
        for variable in container["env"]
        if "value" in variable
    }


def settings_of(chart: Any, component: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a pod, loaded as its command loads them: recipe, rendered file, environment."""
    for name, value in environment_of(chart.pod(component)).items():
        if name.startswith("REWARDSTREAM_"):
            monkeypatch.setenv(name, value)
    file = folder / "settings.toml"
    file.write_text(chart.settings_toml(), encoding="utf-8")
    (container, *_) = chart.pod(component)["spec"]["containers"]
    named = container["args"][container["args"].index("--settings-file") + 1]
    return load(named.replace("/etc/rewardstream/settings.toml", str(file))).settings


@OF_FILE
def test_the_settings_of_every_pod_load(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chart = rendered(file)
    for component, _ in chart.pods():
        if component != "judge":
            settings = settings_of(chart, component, tmp_path, monkeypatch)
            assert settings.run.id
            assert settings.topics.prefix
            assert settings.data.prompts == Path("/data/train.jsonl")


def test_settings_keep_their_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm holds every number as a fraction, and vLLM's arguments are passed on as they are."""
    given = {
        "genrm": {"backend": "hf"},
        "rollout": {"engine": {"vllm_args": {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.85, "seed": "7"}}},
        "learner": {"learning_rate": 1e-6, "loggers": ["tensorboard"]},
        "selector": {"domain_shares": {"maths & co.": [[0, 2.5], [100, 1]]}},
        "difficulty": {"texts_of_first_groups": 20_000_000},
    }
    settings = settings_of(render({**LEAST, "settings": given}), "rollout", tmp_path, monkeypatch)
    assert settings.rollout.engine.vllm_args == given["rollout"]["engine"]["vllm_args"]
    assert isinstance(settings.rollout.engine.vllm_args["tensor_parallel_size"], int)
    assert settings.learner.learning_rate == 1e-6
    assert settings.learner.loggers == ("tensorboard",)
    assert "maths & co." in settings.selector.domain_shares
    assert settings.difficulty.texts_of_first_groups == 20_000_000


def check_arguments(words: list[str]) -> None:
    """Raises what the command line raises about words that it does not know."""
    command = typer.main.get_command(app)
    context = typer.Context(command)
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = typer.Context(command, parent=context, info_name=name)
    command.make_context("", list(words), parent=context)


@OF_FILE
def test_every_command_is_one_of_the_command_line(file: Path) -> None:
    for component, pod in rendered(file).pods():
        if component == "judge":
            continue
        for container in containers(pod["spec"]):
            words = container["args"]
            if "command" in container:
                assert container["command"] == ["python", "-m", "infra.cli.launch"]
                words = words[words.index("infra.cli.main") + 1 :]
            check_arguments(words)


def test_every_service_has_a_pod() -> None:
    assert {name for name, _ in render(LEAST).pods()} == {*map(str, Service), "prepare"}


def test_nodes_of_a_learner_meet_at_the_first() -> None:
    chart = rendered(CHART / "values-64-gpus.yaml")
    (job,) = [job for job in chart.of_kind("Job") if "-learner-" in job["metadata"]["name"]]
    (service,) = [item for item in chart.of_kind("Service") if item["metadata"]["name"].endswith("-learner")]
    pod = job["spec"]["template"]["spec"]
    options = dict(word.split("=", 1) for word in pod["containers"][0]["args"] if word.startswith("--") and "=" in word)
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["completionMode"]) == (5, 5, "Indexed")
    assert options["--nnodes"] == "5"
    assert options["--nproc-per-node"] == "8"
    assert options["--master-addr"] == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert int(options["--master-port"]) in [port["port"] for port in service["spec"]["ports"]]
    assert service["spec"]["clusterIP"] == "None"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert int(options["--shutdown-timeout"]) < pod["terminationGracePeriodSeconds"]
    assert "learner.processes = 40" in chart.settings_toml().splitlines()


@pytest.mark.parametrize("file", WITH_STRIMZI, ids=lambda file: file.stem)
def test_topics_are_those_that_every_service_checks(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(rendered(file), "router", tmp_path, monkeypatch)
    found = {
        item["spec"]["topicName"]: (
            item["spec"]["partitions"],
            {key: str(value) for key, value in item["spec"]["config"].items()},
            item["spec"]["replicas"],
        )
        for item in rendered(file).of_kind("KafkaTopic")
    }
    wanted = {spec.name: (spec.partitions, spec.config, settings.topics.replication) for spec in topic_specs(settings)}
    assert found == wanted


def test_the_table_of_rights_is_written_from_the_code() -> None:
    """If this fails: python -m infra.helm.rights_file"""
    assert rights_file.FILE.read_text(encoding="utf-8") == rights_file.rights_json()


def granted(user: Object, service: str) -> set[Right]:
    operations = {theirs: ours for ours, theirs in rights_file.OPERATIONS.items()}
    return {
        Right(
            service,
            Resource(rule["resource"]["type"].upper()),
            rule["resource"]["name"],
            rule["resource"]["patternType"] == "prefix",
            operations[operation],
        )
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
        if rule["type"] == "allow"
    }


def test_users_have_the_rights_of_their_service_and_no_others() -> None:
    values = yaml.safe_load(WITH_STRIMZI[0].read_text(encoding="utf-8")) | {
        "run": {"id": "r.7", "topicPrefix": "team.a"}
    }
    users = {item["metadata"]["name"]: item for item in render(values).of_kind("KafkaUser")}
    assert users.keys() == {f"team-a-rewardstream-{service}" for service in RIGHTS}
    for service in RIGHTS:
        assert granted(users[f"team-a-rewardstream-{service}"], service) == set(rights_of(service, "team.a", "r.7"))


@pytest.mark.parametrize("file", WITH_STRIMZI, ids=lambda file: file.stem)
def test_a_pod_is_the_user_whose_secret_it_has(file: Path) -> None:
    users = {item["metadata"]["name"] for item in rendered(file).of_kind("KafkaUser")}
    for component, pod in rendered(file).pods():
        if component == "judge":
            continue
        user = f"team-a-rewardstream-{'cli' if component == 'prepare' else component}"
        (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "secrets"]
        assert volume["projected"]["sources"][0]["secret"]["name"] == user
        assert environment_of(pod)["REWARDSTREAM_BROKER__SECURITY__USERNAME"] == user
        assert user in users


def test_rules_and_dashboards_are_those_of_the_repository() -> None:
    chart = rendered(CHART / "values-one-node.yaml")
    rules = [group for item in chart.of_kind("PrometheusRule") for group in item["spec"]["groups"]]
    sources = sorted((INFRA / "prometheus").glob("*.yml"))
    assert rules == [group for file in sources for group in yaml.safe_load(file.read_text()).get("groups", [])]
    (dashboards,) = [item for item in chart.of_kind("ConfigMap") if item["metadata"]["name"].endswith("-dashboards")]
    assert {name: json.loads(text) for name, text in dashboards["data"].items()} == {
        file.name: json.loads(file.read_text()) for file in (INFRA / "grafana/dashboards").glob("*.json")
    }


def test_targets_have_the_labels_that_the_rules_name() -> None:
    chart = rendered(CHART / "values-one-node.yaml")
    (monitor,) = chart.of_kind("PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    relabelings = {rule.get("targetLabel"): rule for rule in endpoint["relabelings"]}
    assert relabelings["job"]["replacement"] == "rewardstream"
    assert relabelings["service"]["sourceLabels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]
    ports = [
        port["name"]
        for name, pod in chart.pods()
        if name in {*Service}
        for port in pod["spec"]["containers"][0]["ports"]
    ]
    assert set(ports) == {endpoint["port"]}


@OF_FILE
def test_autoscaling_reads_the_lag_that_the_service_makes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart = rendered(file)
    for scaled in chart.of_kind("ScaledObject"):
        service = scaled["metadata"]["labels"]["app.kubernetes.io/component"]
        settings = settings_of(chart, service, tmp_path, monkeypatch)
        rights = rights_of(service, settings.topics.prefix, settings.run.id)
        (trigger,) = scaled["spec"]["triggers"]
        read = {right.name for right in rights if right.operation == "READ"}
        assert {trigger["metadata"]["consumerGroup"], trigger["metadata"]["topic"]} <= read
        assert trigger["metadata"]["offsetResetPolicy"] == "earliest"
        assert trigger["metadata"]["bootstrapServers"] == settings.broker.bootstrap_servers
        assert 1 <= scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"] <= settings.topics.partitions
        (target,) = [
            item
            for item in chart.of_kind("Deployment")
            if item["metadata"]["name"] == scaled["spec"]["scaleTargetRef"]["name"]
        ]
        assert "replicas" not in target["spec"]  # KEDA's count would be reset by each upgrade


def test_two_releases_share_no_name() -> None:
    values = yaml.safe_load(WITH_STRIMZI[0].read_text(encoding="utf-8"))
    one, two = (
        {(item["kind"], item["metadata"]["name"]) for item in render(values, release).objects} for release in ("a", "b")
    )
    assert not one & two


def test_other_settings_make_other_jobs() -> None:
    """A Job cannot be changed: an upgrade would be refused."""
    rates = ({**LEAST, "settings": {"learner": {"learning_rate": rate}}} for rate in (1e-6, 2e-6))
    one, two = ({item["metadata"]["name"] for item in render(values).of_kind("Job")} for values in rates)
    assert len(one) == 3
    assert not one & two
