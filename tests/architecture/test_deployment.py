"""The image and the compose file: hardened, pinned, on loopback, and speaking of settings that exist."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from support.manifests import PORTS, ROOT, SERVICES, compose, example_environment, settings_of

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ONE_SHOT = {"accounts", "buckets"}
OPTIONAL = {"OPENAI_API_KEY"}  # the stack is complete without a language model
WITHOUT_HEALTH_CHECK = {"otel-collector": "its image holds one binary and no client to ask it with"}


def _compose_services():
    return compose()["services"].items()


def test_the_dockerfile_names_no_service_and_installs_only_what_the_hashes_allow():
    assert "ARG SERVICE" in DOCKERFILE
    named = [service for service in SERVICES if re.search(rf"(services/|imagetron[_-]){service}\b", DOCKERFILE)]
    assert named == []

    installs = re.findall(r"pip install (?:[^\\\n]|\\\n)*", DOCKERFILE)
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install, install
    for build in re.findall(r"uv build (?:[^\\\n]|\\\n)*", DOCKERFILE):
        assert "--require-hashes --build-constraints" in build, build


def test_the_image_runs_as_an_ordinary_user_without_a_shell_and_writes_no_bytecode():
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^ENTRYPOINT (.*)$", final, re.MULTILINE) == ['["/opt/imagetron/bin/service"]']
    assert "PYTHONDONTWRITEBYTECODE=1" in final
    assert re.search(r"^HEALTHCHECK .*\\\n +CMD \[\"python\"", final, re.MULTILINE)


def test_every_base_image_is_pinned():
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)

    assert len(stages) == DOCKERFILE.count("\nFROM ")
    assert [image for image, _ in stages if not _pinned(image)] == []


def test_no_secret_and_no_environment_reaches_the_build_context():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!requirements",
        "!libs",
        "!services",
        "!deploy",
        "!deploy/triton",
    }
    assert "**/.env" in rules


@pytest.mark.parametrize("profiles", [(), ("observability", "gpu")])
def test_compose_accepts_its_file_with_the_example_environment(profiles):
    command = _compose_command()
    flags = [flag for profile in profiles for flag in ("--profile", profile)]

    run = subprocess.run(
        [*command, "--env-file", str(ROOT / ".env.example"), "-f", str(ROOT / "docker-compose.yml"), *flags, "config"],
        capture_output=True,
        text=True,
        check=False,
        env=_bare_environment(),
    )

    assert run.returncode == 0, run.stderr
    assert set(SERVICES) <= set(yaml.safe_load(run.stdout)["services"])


def test_compose_starts_nothing_while_a_password_is_missing(tmp_path):
    (tmp_path / ".env").write_text("")

    run = subprocess.run(
        [*_compose_command(), "--env-file", str(tmp_path / ".env"), "-f", str(ROOT / "docker-compose.yml"), "config"],
        capture_output=True,
        text=True,
        check=False,
        env=_bare_environment(),
    )

    assert run.returncode != 0
    assert "choose a" in run.stderr


def test_every_password_is_required_and_the_example_gives_one_for_this_machine():
    text = (ROOT / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)", text))
    required = set(re.findall(r"\$\{(\w+):\?\w", text))

    assert used - OPTIONAL == required == set(example_environment())
    assert all(value.startswith("local-only-") for value in example_environment().values())


@pytest.mark.parametrize("service", SERVICES)
def test_a_composed_service_sets_only_settings_that_exist(service):
    environment = set(compose()["services"][service]["environment"])

    assert environment - settings_of(service) == set()
    assert {"ENVIRONMENT", "AMQP_URL", "SHUTDOWN_GRACE_SECONDS"} <= environment


@pytest.mark.parametrize("service", SERVICES)
def test_a_composed_service_is_hardened_and_has_time_to_stop(service):
    description = compose()["services"][service]

    assert description["read_only"] is True
    assert description["cap_drop"] == ["ALL"]
    assert description["security_opt"] == ["no-new-privileges:true"]
    assert all("size=" in mount for mount in description["tmpfs"])
    assert int(description["stop_grace_period"].removesuffix("s")) > int(
        description["environment"]["SHUTDOWN_GRACE_SECONDS"]
    )
    assert f":{PORTS[service]}/readyz" in description["healthcheck"]["test"][-1]


def test_each_composed_service_has_an_account_of_its_own_at_the_broker():
    for service in SERVICES:
        url = compose()["services"][service]["environment"]["AMQP_URL"]
        assert url.startswith(f"amqp://{service}:${{AMQP_PASSWORD_{service.upper()}:?"), url


def test_every_published_port_is_on_loopback():
    ports = [port for _, service in _compose_services() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


def test_every_composed_image_is_pinned():
    assert [service["image"] for _, service in _compose_services() if not _pinned(service["image"])] == []


def test_every_composed_service_has_a_health_check_or_a_reason():
    without = {name for name, service in _compose_services() if "test" not in service.get("healthcheck", {})}

    assert without == ONE_SHOT | set(WITHOUT_HEALTH_CHECK)
    assert all(compose()["services"][name]["restart"] == "no" for name in ONE_SHOT)


def test_every_mounted_file_exists():
    mounts = [mount for _, service in _compose_services() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]

    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []


def _pinned(image: str) -> bool:
    name, colon, tag = image.rpartition(":")
    return "@sha256:" in image or bool(colon and name and tag and tag != "latest" and "/" not in tag)


def _compose_command() -> list[str]:
    if standalone := shutil.which("docker-compose"):
        return [standalone]
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    pytest.skip("neither docker-compose nor the compose plugin is installed: the file can only be read as YAML")


def _bare_environment() -> dict[str, str]:
    """Without this shell's own variables, which would win over the env file."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
