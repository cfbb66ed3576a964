"""The compose file: read by both generations of the command, every service checked, every name one that exists."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.compose import demo
from infra.services import Service
from infra.settings.load import leaves
from infra.settings.sources import find_recipe
from infra.settings.tree import MetricsSettings, Settings

FOLDER = Path(demo.__file__).parent
ROOT = FOLDER.parents[1]
ONE_SHOT = {"prepare", "init"}
DRAIN_SECONDS = 5
"""What a process of the loop takes at most to stop in order."""


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(demo.FILE.read_text())
    return loaded


@pytest.fixture(scope="module")
def services(stack: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = stack["services"]
    return found


def command_of(service: dict[str, Any]) -> str:
    command = service.get("command", [])
    return command if isinstance(command, str) else " ".join(command)


def test_no_syntax_that_docker_compose_1_29_lacks(stack: dict[str, Any]) -> None:
    assert {key for key in stack if not key.startswith("x-")} == {"services", "volumes"}


def test_every_serve_name_runs_as_the_service_of_that_name(services: dict[str, Any]) -> None:
    served = {
        name: match[1] for name, service in services.items() if (match := re.match(r"serve (\S+)", command_of(service)))
    }
    assert served == {str(service): str(service) for service in Service}


def test_every_service_that_stays_has_a_health_check(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == ONE_SHOT


def test_one_shot_services_end_and_are_waited_for(services: dict[str, Any]) -> None:
    for name in ONE_SHOT:
        assert services[name]["restart"] == "no"
    for service in Service:
        assert services[str(service)]["depends_on"]["init"] == {"condition": "service_completed_successfully"}


def test_what_serves_a_run_comes_back_after_a_reboot_and_the_selector_ends_it(services: dict[str, Any]) -> None:
    """Docker starts `on-failure` containers again when they fail, and not when its daemon starts."""
    stay = {name for name, service in services.items() if service["restart"] == "unless-stopped"}
    assert stay == services.keys() - ONE_SHOT - {"selector"}
    assert services["selector"]["restart"] == "on-failure"


def test_every_dependency_has_a_condition_and_a_service(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, dependency in service.get("depends_on", {}).items():
            ends = "service_completed_successfully" if name in ONE_SHOT else "service_healthy"
            assert dependency == {"condition": ends}


def test_health_checks_ask_the_port_that_the_settings_give(services: dict[str, Any]) -> None:
    for service in Service:
        assert f":{MetricsSettings().port}/metrics" in " ".join(services[str(service)]["healthcheck"]["test"])


def test_a_stop_leaves_time_for_the_drain(services: dict[str, Any]) -> None:
    for service in Service:
        assert int(services[str(service)]["stop_grace_period"].removesuffix("s")) >= 2 * DRAIN_SECONDS


def test_memory_is_bounded_everywhere(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "mem_limit" not in service] == []


def test_only_rtv_runs_without_the_engines_profiles_and_none_with_more_rights(services: dict[str, Any]) -> None:
    own = {str(service) for service in Service} | ONE_SHOT
    for name in own:
        options = services[name]["security_opt"]
        assert "no-new-privileges:true" in options
        assert services[name]["cap_drop"] == ["ALL"]
        assert ("seccomp:unconfined" in options, "apparmor:unconfined" in options) == (name == "rtv",) * 2
    assert not any({"privileged", "cap_add"} & set(service) for service in services.values())


def test_nothing_is_published_beyond_the_loopback_interface(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_environment_variable_is_a_setting(services: dict[str, Any]) -> None:
    known = {"REWARDSTREAM_" + path.upper().replace(".", "__") for path, _ in leaves(Settings())}
    given = {
        name
        for service in services.values()
        for name in service.get("environment", {})
        if name.startswith("REWARDSTREAM_")
    }
    in_image = set(re.findall(r"(REWARDSTREAM_\w+)=", (FOLDER / "Dockerfile").read_text()))
    assert given
    assert in_image
    assert given | in_image <= known


def test_recipe_exists(services: dict[str, Any]) -> None:
    recipes = set(re.findall(r"\$\{RECIPE:-(\w+)\}", demo.FILE.read_text()))
    assert recipes
    assert all(find_recipe(recipe).is_file() for recipe in recipes)


def test_mounted_files_exist_and_volumes_are_declared(stack: dict[str, Any]) -> None:
    for service in stack["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (FOLDER / source).exists() if source.startswith(".") else source in stack["volumes"]


def test_kafka_takes_the_largest_message_and_creates_no_topic_by_itself(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    assert environment["KAFKA_MESSAGE_MAX_BYTES"] >= Settings().broker.max_message_bytes
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_LOG_DIRS"] in [volume.split(":")[1] for volume in services["kafka"]["volumes"]]


@pytest.mark.parametrize("command", [["docker-compose"], ["docker", "compose"]])
def test_docker_compose_reads_the_file(command: list[str]) -> None:
    if (
        shutil.which(command[0]) is None
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"no {' '.join(command)} here")
    checked = subprocess.run(
        [*command, "-f", str(demo.FILE), "config", "--quiet"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def dockerfile() -> list[tuple[str, str]]:
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_image_runs_without_root_and_builds_without_buildkit() -> None:
    lines = dockerfile()
    assert [rest for word, rest in lines if word == "USER"] == ["rewardstream"]
    assert not [rest for word, rest in lines if (word in {"RUN", "COPY"} and "--mount" in rest) or "<<" in rest]


def test_image_brings_the_sandbox() -> None:
    last = max(at for at, (word, _) in enumerate(dockerfile()) if word == "FROM")
    assert any(
        word == "RUN" and "install -y --no-install-recommends bubblewrap" in rest for word, rest in dockerfile()[last:]
    )


def test_what_the_image_copies_is_sent_to_the_engine() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [rest.split()[:-1] for word, rest in dockerfile() if word == "COPY" and "--from" not in rest]
    for source in (name.rstrip("/") for names in sources for name in names):
        assert source.split("/")[0] in sent
        assert (ROOT / source).exists()


def test_every_package_is_in_the_image() -> None:
    copied = {name for word, rest in dockerfile() if word == "COPY" for name in rest.split()}
    packages = {folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()}
    assert {f"{package}/" for package in packages} <= copied
