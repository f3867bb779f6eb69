"""What is prepared and started for Triton, against environments that only look like one."""

import json
from pathlib import Path

import pytest

from imagetron_cli.embedded.triton import MissingTriton, TritonInstallation, TritonPorts, command, prepare, sweep

NEEDS_LIBPYTHON = b"\x7fELF libpython3.11.so.1.0 \x00"


def an_environment(
    folder: Path, *, version="3.11", numpy="1.26.4", stub: bytes = NEEDS_LIBPYTHON, has_library=True, has_wheel=True
) -> Path:
    """A folder laid out as a virtual environment with the wheel, whose interpreter only answers our question."""
    packages, libraries = folder / "lib" / "site-packages", folder / "python" / "lib"
    libraries.mkdir(parents=True)
    packages.mkdir(parents=True)
    answer = json.dumps({"version": version, "libraries": [str(libraries)], "packages": str(packages)})
    python = folder / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\necho '{answer}'\n")
    python.chmod(0o755)
    if has_library:
        (libraries / "libpython3.11.so.1.0").touch()
    if numpy:
        (packages / f"numpy-{numpy}.dist-info").mkdir()
    if has_wheel:
        (packages / "nvidia_pytriton-0.7.0.dist-info").mkdir()
        (packages / "nvidia_pytriton.libs").mkdir()
        server = packages / "pytriton" / "tritonserver"
        for path, content in (
            ("bin/tritonserver", b"server"),
            ("backends/python/libtriton_python.so", b"backend"),
            ("python_backend_stubs/3.11/triton_python_backend_stub", stub),
        ):
            (server / path).parent.mkdir(parents=True)
            (server / path).write_bytes(content)
    return folder


def test_the_backends_are_laid_out_with_the_stub_of_the_environments_python(tmp_path):
    environment = an_environment(tmp_path / "environment")

    installation = prepare(environment, tmp_path / "state")

    python = installation.backends / "python"
    assert {item.name: item.read_bytes() for item in python.iterdir()} == {
        "libtriton_python.so": b"backend",
        "triton_python_backend_stub": NEEDS_LIBPYTHON,
    }
    assert installation.backends.is_relative_to(tmp_path / "state")
    assert installation.server.read_bytes() == b"server"


def test_preparing_again_copies_nothing(tmp_path):
    environment = an_environment(tmp_path / "environment")
    first = prepare(environment, tmp_path / "state")
    (first.backends / "mark").touch()

    assert prepare(environment, tmp_path / "state") == first
    assert (first.backends / "mark").exists()


def test_a_copy_that_was_interrupted_is_not_taken_for_a_whole_one(tmp_path):
    environment = an_environment(tmp_path / "environment")
    (tmp_path / "state" / "triton" / ".backends-broken-off" / "backends" / "python").mkdir(parents=True)

    installation = prepare(environment, tmp_path / "state")

    assert (installation.backends / "python" / "libtriton_python.so").exists()
    assert ".backends" not in str(installation.backends)


def test_nothing_unfinished_is_left_behind(tmp_path):
    installation = prepare(an_environment(tmp_path / "environment"), tmp_path / "state")

    assert list((tmp_path / "state" / "triton").iterdir()) == [installation.backends]


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        ({"has_wheel": False}, r"There is no Triton server in .*: run `make setup`"),
        ({"numpy": "2.4.6"}, r"has numpy 2\.4\.6; its Python backend crashes on text with numpy 2: run `make setup`"),
        ({"numpy": ""}, "has no numpy"),
        ({"version": "3.14"}, r"has no Python backend for Python 3\.14 \(only for 3\.11\)"),
        ({"has_library": False}, r"needs libpython3\.11\.so\.1\.0, .*install the Debian package libpython3\.11"),
    ],
)
def test_what_is_missing_is_said_with_how_to_get_it(tmp_path, layout, sentence):
    environment = an_environment(tmp_path / "environment", **layout)

    with pytest.raises(MissingTriton, match=sentence):
        prepare(environment, tmp_path / "state")


def test_a_folder_without_an_environment_is_said_to_be_none(tmp_path):
    with pytest.raises(MissingTriton, match=r"There is no Triton environment at .*nowhere: run `make setup`"):
        prepare(tmp_path / "nowhere", tmp_path / "state")


def test_an_interpreter_that_does_not_run_is_named(tmp_path):
    environment = an_environment(tmp_path / "environment")
    (environment / "bin" / "python3").write_text("#!/bin/sh\nexit 3\n")

    with pytest.raises(MissingTriton, match=r"python3 does not run \(.*exit status 3"):
        prepare(environment, tmp_path / "state")


def test_a_stub_that_brings_its_own_libpython_needs_none_from_the_system(tmp_path):
    environment = an_environment(tmp_path / "environment", stub=b"\x7fELF static", has_library=False)

    installation = prepare(environment, tmp_path / "state")

    assert [folder.name for folder in installation.libraries] == ["nvidia_pytriton.libs"]


def test_the_interpreters_libraries_come_before_the_wheels(tmp_path):
    environment = an_environment(tmp_path / "environment")

    _, variables = command(prepare(environment, tmp_path / "state"), tmp_path, TritonPorts())

    assert variables["LD_LIBRARY_PATH"] == (
        f"{environment}/python/lib:{environment}/lib/site-packages/nvidia_pytriton.libs"
    )
    assert variables["PATH"].startswith(f"{environment}/bin:")


INSTALLATION = TritonInstallation(
    server=Path("/wheel/bin/tritonserver"),
    backends=Path("/state/backends"),
    libraries=(),
    programs=Path("/environment/bin"),
)


def test_the_server_listens_on_loopback_alone_at_the_products_ports():
    arguments, _ = command(INSTALLATION, Path("/models"), TritonPorts())

    flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments[1:])
    assert {flags[f"{kind}-address"] for kind in ("grpc", "http", "metrics")} == {"127.0.0.1"}
    assert [flags[f"{kind}-port"] for kind in ("grpc", "http", "metrics")] == ["8002", "8003", "8004"]
    assert flags["model-repository"] == "/models"


def test_the_server_sees_no_gpu_and_its_models_use_one_thread_each():
    _, variables = command(INSTALLATION, Path("/models"), TritonPorts())

    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert variables["OMP_NUM_THREADS"] == variables["OPENBLAS_NUM_THREADS"] == "1"


def test_sweeping_removes_the_shared_memory_of_the_server_on_these_ports_only(tmp_path):
    for name in ("imagetron-triton-8002-a", "imagetron-triton-8002-b", "imagetron-triton-18002-a", "other"):
        (tmp_path / name).touch()

    sweep(TritonPorts(grpc=8002), tmp_path)

    assert {item.name for item in tmp_path.iterdir()} == {"imagetron-triton-18002-a", "other"}
