"""What every pod of the chart keeps: the Restricted standard, probes, bounds, a graceful end, secrets by name."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from support.helm.rendered_chart import CHART, VALUES, Object, rendered
from support.helm.restricted_standard import containers, violations

from infra.cli.errors import ExitCode
from infra.services import Service
from infra.settings.tree import MetricsSettings
from streams.apps import stage_process
from trainer.curriculum import selector
from workers.rollout import worker

OF_FILE = pytest.mark.parametrize("file", VALUES, ids=lambda file: file.stem)
PREPARATION = "prepare"
DRAIN_SECONDS = {
    "stage": stage_process._DRAIN_SECONDS + stage_process._STOP_SECONDS,
    "rollout": 4 * worker._DRAIN_SECONDS,
    "selector": selector._CLOSE_SECONDS,
}
"""The longest that a service takes to end once it was asked to, by what its module says. A learner ends its step and
writes a checkpoint, which no constant bounds."""


@OF_FILE
def test_the_restricted_standard_holds(file: Path) -> None:
    found = {name: violations(pod["spec"]) for name, pod in rendered(file).pods()}
    assert found.keys() >= {"router", "rtv", "rollout", "selector", "learner", PREPARATION}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_baseline_pod_is_not_restricted() -> None:
    assert [rule.partition(":")[0] for rule in violations({"containers": [{"name": "c"}]})] == [
        "Privilege Escalation",
        "Running as Non-root",
        "Seccomp",
        "Capabilities",
    ]


@pytest.mark.parametrize(
    ("where", "value", "rule"),
    [
        (("hostNetwork",), True, "Host Namespaces"),
        (("volumes", 0), {"name": "v", "hostPath": {"path": "/"}}, "Volume Types"),
        (("securityContext", "runAsUser"), 0, "Running as Non-root user"),
        (("securityContext", "runAsNonRoot"), False, "Running as Non-root"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "Seccomp"),
        (("securityContext", "sysctls"), [{"name": "kernel.msgmax"}], "Sysctls"),
        (("containers", 0, "securityContext", "privileged"), True, "Privileged Containers"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "Privilege Escalation"),
        (("containers", 0, "securityContext", "capabilities", "drop"), [], "Capabilities"),
        (("containers", 0, "securityContext", "capabilities", "add"), ["SYS_ADMIN"], "Capabilities"),
        (("containers", 0, "securityContext", "procMount"), "Unmasked", "/proc Mount Type"),
        (("containers", 0, "securityContext", "seLinuxOptions"), {"type": "spc_t"}, "SELinux"),
        (("containers", 0, "securityContext", "appArmorProfile"), {"type": "Unconfined"}, "AppArmor"),
        (("containers", 0, "securityContext", "windowsOptions"), {"hostProcess": True}, "HostProcess"),
        (("containers", 0, "ports", 0, "hostPort"), 9464, "Host Ports"),
        (("containers", 0, "livenessProbe", "httpGet", "host"), "10.0.0.1", "Host Probes / Lifecycle Hooks"),
    ],
)
def test_each_rule_of_the_standard_is_checked(where: tuple[Any, ...], value: Any, rule: str) -> None:
    spec = deepcopy(rendered(VALUES[0]).pod("rtv")["spec"])
    if where[-1] == "runAsNonRoot":
        del spec["containers"][0]["securityContext"]["runAsNonRoot"]
    node: Any = spec
    for step in where[:-1]:
        node = node[step]
    node[where[-1]] = value
    assert {problem.partition(":")[0] for problem in violations(spec)} == {rule}


@OF_FILE
def test_every_container_is_bounded_and_its_root_file_system_read_only(file: Path) -> None:
    for name, pod in rendered(file).pods():
        for container in containers(pod["spec"]):
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108


@OF_FILE
def test_every_service_is_probed_where_it_answers(file: Path) -> None:
    for name, pod in rendered(file).pods():
        if name == PREPARATION:
            continue
        (container,) = pod["spec"]["containers"]
        port = 8000 if name == "judge" else MetricsSettings().port
        health, ready = ("/health", "/health") if name == "judge" else ("/healthz", "/readyz")
        ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
        asked = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
        assert {ports[get["port"]] for get in asked.values()} == {port}
        assert [get["path"] for get in asked.values()] == [health, health, ready]


@OF_FILE
def test_a_pod_has_more_time_than_its_service_takes_to_end(file: Path) -> None:
    for name, pod in rendered(file).pods():
        kind = name if name in DRAIN_SECONDS else "stage"
        assert pod["spec"]["terminationGracePeriodSeconds"] > 2 * DRAIN_SECONDS[kind], name
    assert rendered(file).pod("learner")["spec"]["terminationGracePeriodSeconds"] >= 600


@OF_FILE
def test_no_pod_has_a_token_or_the_variables_of_services(file: Path) -> None:
    """A Service named rewardstream-x would put REWARDSTREAM_X_SERVICE_HOST into each pod, which is no setting."""
    for _, pod in rendered(file).pods():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
    (account,) = rendered(file).of_kind("ServiceAccount")
    assert account["automountServiceAccountToken"] is False


@OF_FILE
def test_secrets_are_references(file: Path) -> None:
    assert rendered(file).of_kind("Secret") == []
    for name, pod in rendered(file).pods():
        for container in containers(pod["spec"]):
            for variable in container["env"]:
                if re.search("PASSWORD|SECRET|TOKEN|API_KEY", variable["name"]):
                    assert "secretKeyRef" in variable.get("valueFrom", {}), (name, variable["name"])


def secrets_of(pod: Object) -> set[str]:
    (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "secrets"]
    return {item["path"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}


def test_a_service_has_the_secrets_that_it_needs_and_no_others() -> None:
    kafka = {"kafka-password", "kafka-ca.crt"}
    database = {"database-password", "database-ca.crt"}
    found = {name: secrets_of(pod) for name, pod in rendered(CHART / "values-external-kafka-tls.yaml").pods()}
    assert found == {
        "router": kafka,
        "rtv": kafka,
        "genrm": kafka | {"judge-api-key"},
        "difficulty": kafka | database,
        "crosscheck": kafka | database | {"judge-api-key"},
        "selector": kafka | database | {"signing-key"},
        "rollout": kafka | {"signing-key"},
        "learner": kafka | {"signing-key"},
        PREPARATION: kafka | database,
    }
    assert {str(service) for service in Service if service.traits.needs_database} == {
        name for name, paths in found.items() if database <= paths and name != PREPARATION
    }


@OF_FILE
def test_budgets_and_services_select_pods_of_this_release_alone(file: Path) -> None:
    pods = [pod["metadata"]["labels"] for _, pod in rendered(file).pods()]
    selecting = [
        (item["metadata"]["name"], item["spec"]["selector"].get("matchLabels", item["spec"]["selector"]))
        for item in rendered(file).of_kind("PodDisruptionBudget", "Service", "Deployment", "PodMonitor")
    ]
    selecting += [
        (item["metadata"]["name"], item["spec"]["podSelector"]["matchLabels"])
        for item in rendered(file).of_kind("NetworkPolicy")
    ]
    assert selecting
    for name, labels in selecting:
        assert labels["app.kubernetes.io/instance"] == "team-a"
        chosen = [pod for pod in pods if labels.items() <= pod.items()]
        assert chosen, name
        if "app.kubernetes.io/component" in labels:
            assert len(chosen) == 1, name


@OF_FILE
def test_every_deployment_has_a_budget_that_lets_a_node_be_drained(file: Path) -> None:
    budgets = {item["metadata"]["name"]: item["spec"] for item in rendered(file).of_kind("PodDisruptionBudget")}
    for deployment in rendered(file).of_kind("Deployment"):
        assert budgets[deployment["metadata"]["name"]]["maxUnavailable"] == 1


@OF_FILE
def test_a_job_knows_what_exit_codes_mean(file: Path) -> None:
    for job in rendered(file).of_kind("Job"):
        if job["metadata"]["labels"]["app.kubernetes.io/component"] == PREPARATION:
            continue
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
        rules = job["spec"]["podFailurePolicy"]["rules"]
        by_action = {rule["action"]: set(rule["onExitCodes"]["values"]) for rule in rules if "onExitCodes" in rule}
        fatal = (
            {ExitCode.USAGE, ExitCode.DIVERGED, ExitCode.FENCED} if container["name"] == "learner" else {ExitCode.USAGE}
        )
        assert by_action == {"FailJob": fatal, "Ignore": {ExitCode.AWAY, 143}}
        stopped = container["args"][container["args"].index("--stopped-code") + 1]
        assert stopped == "143"


def test_the_image_runs_as_the_user_of_the_pods() -> None:
    dockerfile = (CHART.parents[1] / "compose/Dockerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"useradd --uid (\d+)", dockerfile)
    assert "\nUSER rewardstream\n" in dockerfile
    for _, pod in rendered(VALUES[0]).pods():
        assert pod["spec"]["securityContext"]["runAsUser"] == int(user)
