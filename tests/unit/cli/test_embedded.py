"""What the embedded stack would run, without running it."""

import stat
from pathlib import Path

import pytest

from imagetron_cli.checkout import checkout, model_repository
from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.rabbitmq import RabbitNode, version
from imagetron_cli.embedded.services import SERVICES, service_command, service_environment
from imagetron_cli.embedded.stack import Stack
from imagetron_cli.embedded.state import AlreadyRunning, Lock, State, holder
from imagetron_cli.errors import Trouble

AMQP = "amqp://guest:guest@127.0.0.1:28015/"
STATE = State(Path("/state"))


def environment(name: str, **inherited: str) -> dict[str, str]:
    return service_environment(name, state=STATE, ports=Ports(), amqp_url=AMQP, log_format="json", inherited=inherited)


def test_the_gateway_listens_on_its_known_port_with_its_documents_in_the_state_folder():
    variables = environment("gateway")

    assert variables["GATEWAY_PORT"] == "8015"
    assert variables["GATEWAY_DOCUMENTS_URL"] == "sqlite:////state/documents/gateway.sqlite3"
    assert variables["GATEWAY_EXTERNAL_URL"] == "http://127.0.0.1:8015"
    assert variables["ENVIRONMENT"] == "embedded"


@pytest.mark.parametrize("name", SERVICES[1:])
def test_each_worker_has_probes_of_its_own_on_loopback(name):
    variables = environment(name)

    assert variables["PROBES_HOST"] == "127.0.0.1"
    assert variables["PROBES_PORT"] == str(8015 + SERVICES.index(name))
    assert not [variable for variable in variables if variable.startswith("GATEWAY_")]


def test_the_generator_is_told_where_triton_is():
    assert environment("generator")["GENERATOR_TRITON_URL"] == "127.0.0.1:8002"


def test_the_prompt_service_keeps_its_documents_beside_the_gateways_and_gets_the_callers_language_model():
    model = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PROMPT_MODEL": "a-model"}

    variables = environment("prompt", **model)

    assert variables["PROMPT_DOCUMENTS_URL"] == "sqlite:////state/documents/prompt.sqlite3"
    assert {name: variables[name] for name in model} == model


def test_what_the_caller_sets_wins_except_for_what_holds_the_stack_together():
    variables = environment("gateway", LOG_FORMAT="console", LOG_LEVEL="debug", AMQP_URL="amqp://x/", GATEWAY_PORT="1")

    assert variables["LOG_FORMAT"] == "console"
    assert variables["LOG_LEVEL"] == "debug"
    assert variables["AMQP_URL"] == AMQP
    assert variables["GATEWAY_PORT"] == "8015"


def test_a_bucket_replaces_the_folder_of_objects():
    assert "STORAGE_PATH" not in environment("deriver", S3_BUCKET="pictures")
    assert environment("deriver")["STORAGE_PATH"] == "/state/objects"


def test_a_service_is_its_module_run_by_our_own_python():
    assert service_command("deriver")[1:] == ["-m", "imagetron_deriver"]


def test_a_base_moves_every_port_and_keeps_them_apart():
    moved = Ports.from_base(20_000).named()

    assert moved["gateway"] == 20_000
    assert sorted(moved.values()) == list(range(20_000, 20_011))
    assert set(moved.values()).isdisjoint(Ports.from_base(None).named().values())


def test_all_default_ports_are_below_those_that_the_kernel_hands_out():
    assert all(port < 32_768 for port in Ports().named().values())


def test_a_given_broker_is_used_instead_of_a_node_of_ours(tmp_path):
    stack = Stack(tmp_path, environ={"AMQP_URL": "amqp://there:5672/"})

    assert stack.node is None
    assert stack.amqp_url == "amqp://there:5672/"


def test_a_process_that_is_not_part_of_the_stack_is_told_apart(tmp_path):
    with pytest.raises(Trouble, match="no process 'mongo'"):
        Stack(tmp_path, environ={}).kill("mongo")


def test_the_node_is_shut_off_from_the_machines_own_broker(tmp_path):
    node = RabbitNode.on(Ports(), tmp_path)

    variables = node.environment()

    inside = [name for name, value in variables.items() if value.startswith(str(tmp_path))]
    assert {
        "HOME",
        "RABBITMQ_MNESIA_BASE",
        "RABBITMQ_CONFIG_FILE",
        "RABBITMQ_CONF_ENV_FILE",
        "RABBITMQ_PID_FILE",
    } <= set(inside)
    assert variables["ERL_EPMD_PORT"] == "28017"
    assert variables["ERL_EPMD_ADDRESS"] == variables["RABBITMQ_NODE_IP_ADDRESS"] == "127.0.0.1"
    assert "{127,0,0,1}" in variables["ERL_FLAGS"]


@pytest.mark.skipif(version() is None, reason="needs the RabbitMQ package")
def test_the_nodes_cookie_is_its_owners_secret_and_kept(tmp_path):
    node = RabbitNode.on(Ports(), tmp_path)
    node.prepare()
    cookie = tmp_path / "home" / ".erlang.cookie"
    first = cookie.read_text()

    node.prepare()

    assert stat.S_IMODE(cookie.stat().st_mode) == 0o600
    assert cookie.read_text() == first


def test_a_missing_rabbitmq_package_has_no_version(tmp_path):
    assert version(tmp_path) is None


def test_a_state_folder_has_one_stack_at_a_time(tmp_path):
    state = State.at(tmp_path)
    lock = Lock(state)

    with pytest.raises(AlreadyRunning, match="already running"):
        Lock(state)
    assert holder(state) is not None

    lock.release()
    assert holder(state) is None
    Lock(state).release()


def test_wiping_keeps_what_was_prepared_and_forgets_what_was_made(tmp_path):
    state = State.at(tmp_path)
    state.create()
    (tmp_path / "triton").mkdir()
    (state.documents / "gateway.sqlite3").write_text("jobs")

    state.wipe()

    assert [path.name for path in tmp_path.iterdir()] == ["triton"]


def test_the_checkout_is_found_from_inside_and_missed_from_outside(tmp_path):
    assert (model_repository(checkout()) / "preview").is_dir()

    with pytest.raises(Trouble, match="not inside a checkout"):
        checkout(tmp_path / "somewhere.py")
