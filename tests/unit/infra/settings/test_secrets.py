"""A secret that is planted in every option that can hold one appears nowhere but in a run's secrets.json."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.run_folder import write_settings
from infra.local.service_commands import service_specs
from infra.settings.database import DatabaseSettings
from infra.settings.load import SECRETS_FILE, described, described_text, load, settings_json, without_secrets
from infra.settings.secret import secret_paths
from infra.settings.sources import InvalidSettingsError, Option, may_hold_secret, parse_assignment
from infra.settings.tree import Settings

HUSH = "hush-7f3a"
URL = f"postgresql://me:{HUSH}@host/db"
SASL = ["bootstrap_servers=k:9093", "security.protocol=SASL_SSL", "security.ca_file=/ca.pem"]
CONTEXT = {
    "broker.security.password": [*SASL, "security.mechanism=PLAIN", "security.username=u"],
    "broker.security.key_password": [*SASL[:1], "security.protocol=SSL", "security.certificate_file=/c",
                                     "security.key_file=/k"],
    "broker.security.client_secret": [*SASL, "security.mechanism=OAUTHBEARER", "security.client_id=c",
                                      "security.token_endpoint=https://sso/token"],
}  # fmt: skip
"""What else a secret needs, in the section broker."""
JUDGE = ['crosscheck.scorers={"genrm": "judge"}', f'crosscheck.judge={{"api_key": "{HUSH}", "model": "m"}}']
SECRETS = sorted(secret_paths(Settings))


def planted(path: str) -> list[Option]:
    context = [parse_assignment(f"broker.{text}") for text in CONTEXT.get(path, [])]
    return [*context, parse_assignment(f"{path}={HUSH}")]


def test_the_secrets_are_found_by_their_type() -> None:
    assert SECRETS == [
        "broker.security.client_secret",
        "broker.security.key_password",
        "broker.security.password",
        "database.password",
        "genrm.api_key",
    ]
    assert set(CONTEXT) <= set(SECRETS)


@pytest.mark.parametrize("path", [*SECRETS, "database.url", "crosscheck.judge.api_key"])
def test_a_secret_is_in_no_output_and_survives_the_runs_files(path: str, tmp_path: Path) -> None:
    options = {
        "database.url": [parse_assignment(f"database.url={URL}")],
        "crosscheck.judge.api_key": [parse_assignment(text) for text in JUDGE],
    }.get(path) or planted(path)
    resolved = load(options=options)
    settings = resolved.settings
    shown = [str(described(resolved)), described_text(resolved), str(without_secrets(settings)), repr(settings)]
    shown += [settings_json(settings).decode(), settings.model_dump_json(), str(resolved.sources)]
    assert not [text for text in shown if HUSH in text]
    file = write_settings(settings, tmp_path)
    assert HUSH not in file.read_text()
    secrets = tmp_path / SECRETS_FILE
    assert HUSH in secrets.read_text()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert load(str(file)).settings == settings


def test_a_run_without_secrets_keeps_no_file_of_them(tmp_path: Path) -> None:
    write_settings(load(options=planted("database.password")).settings, tmp_path)
    write_settings(Settings(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("path", [*SECRETS, "broker.security", "broker", "database", "crosscheck.judge"])
def test_a_value_that_is_no_text_is_not_repeated_in_the_error(path: str) -> None:
    assert may_hold_secret(path)
    with pytest.raises(InvalidSettingsError) as caught:
        load(options=[parse_assignment(f'{path}=["{HUSH}"]')])
    assert path in str(caught.value)
    assert HUSH not in str(caught.value)


def test_an_assignment_that_is_not_json_does_not_repeat_its_secret() -> None:
    with pytest.raises(InvalidSettingsError, match="not JSON") as caught:
        parse_assignment(f"broker.security={{'password': '{HUSH}'")
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "url", "instead"),
    [
        ("genrm.endpoint", f"https://me:{HUSH}@judge/v1", "give genrm.api_key_file or genrm.api_key"),
        ("genrm.endpoint", f"https://judge/v1?api_key={HUSH}", "holds the parameter 'api_key'"),
        ("learner.publish_to", f"sftp://me:{HUSH}@store/runs", "reads them from its own environment variables"),
        ("learner.publish_to", f"abfs://runs?sas_token={HUSH}", "holds the parameter 'sas_token'"),
        ("database.url", f"postgresql://me@host/db?password={HUSH}", "give database.password instead"),
    ],
)
def test_a_url_that_is_logged_may_hold_no_secret(option: str, url: str, instead: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        load(options=[Option(option, url, f"--set {option}")])
    assert instead in str(caught.value)
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "url", "full"),
    [
        ({"url": "postgresql://u:p@h/d"}, "postgresql://u@h/d", "postgresql://u:p@h/d"),
        ({"url": "postgresql://u@h/d", "password": "p/@ ?"}, "postgresql://u@h/d", "postgresql://u:p%2F%40%20%3F@h/d"),
        ({"url": "postgresql://u:a%40b@h/d"}, "postgresql://u@h/d", "postgresql://u:a%40b@h/d"),
        ({"url": "postgresql://u@h/d?sslmode=require"},) + ("postgresql://u@h/d?sslmode=require",) * 2,
        ({"url": "postgresql://u:p@h/d?host=/x@y"}, "postgresql://u@h/d?host=/x@y", "postgresql://u:p@h/d?host=/x@y"),
        ({"url": ""}, "", ""),
    ],
)
def test_the_databases_url_has_its_password_only_for_a_client(given: dict[str, Any], url: str, full: str) -> None:
    database = DatabaseSettings.model_validate(given)
    assert database.url == url
    assert database.full_url() == full


def test_the_databases_password_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p\n")
    database = DatabaseSettings(url="postgresql://u@h/d", password_file=file)
    assert database.full_url() == "postgresql://u:p@h/d"
    with pytest.raises(ValueError, match=r"database\.password is another one"):
        DatabaseSettings.model_validate({"url": "postgresql://u:p@h/d", "password": "q"})
    with pytest.raises(ValueError, match="keep one of them"):
        DatabaseSettings.model_validate({"url": "postgresql://u:p@h/d", "password_file": str(file)})
    with pytest.raises(ValueError, match=r"needs a user in database\.url"):
        DatabaseSettings.model_validate({"url": "postgresql://h/d", "password_file": str(file)})


def test_settings_without_their_secrets_name_what_is_missing(tmp_path: Path) -> None:
    file = write_settings(load(options=planted("broker.security.password")).settings, tmp_path)
    (tmp_path / SECRETS_FILE).unlink()
    assert json.loads(file.read_text())["broker"]["security"]["password"] == ""
    with pytest.raises(InvalidSettingsError, match=r"needs one of broker\.security\.password or password_file"):
        load(str(file))


def test_the_services_command_lines_and_environment_hold_no_secret(tmp_path: Path) -> None:
    settings = load(options=planted("broker.security.password")).settings
    file = write_settings(settings, tmp_path)
    for spec in service_specs(settings, file):
        assert HUSH not in " ".join(spec.argv(1)) + str(spec.env)


def test_a_start_that_fails_prints_no_secret(tmp_path: Path) -> None:
    """Neither the broker nor the database is there; the secrets come from the environment."""
    names = ["run.id=r", "topics.prefix=r", "broker.connect_timeout_seconds=0.2", *(f"broker.{one}" for one in SASL)]
    names += ["broker.bootstrap_servers=127.0.0.1:9", "broker.security.mechanism=PLAIN", "broker.security.username=u"]
    names += ["broker.security.ca_file=/no/such.pem", "genrm.backend=openai", "genrm.endpoint=http://127.0.0.1:9/v1"]
    secrets = {
        "REWARDSTREAM_BROKER__SECURITY__PASSWORD": HUSH,
        "REWARDSTREAM_DATABASE__URL": f"postgresql://me:{HUSH}@127.0.0.1:9/db",
        "REWARDSTREAM_GENRM__API_KEY": HUSH,
    }
    options = [word for name in names for word in ("--set", name)]
    for command in (
        ["serve", "difficulty"],
        ["serve", "difficulty", "--dry-run"],
        ["topics", "list"],
        ["db", "upgrade"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli.main", *command, *options],
            env={**os.environ, **secrets},
            cwd=Path(__file__).parents[4],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout + done.stderr
        assert HUSH not in done.stdout + done.stderr
        assert (done.returncode == 0) == ("--dry-run" in command), done.stderr
