"""Rendered overlays: every pod restricted, bounded and probed; no secret outside local; no setting that does not exist."""

import itertools

import pytest

from support.manifests import OVERLAYS, PORTS, ROOT, SERVICES, of_kind, pod_templates, rendered, settings_of

BASE = ROOT / "deploy" / "k8s" / "base"
LONGEST_DELIVERY_SECONDS = 600
WORKERS = ("generator", "deriver", "publisher")

overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def _containers(overlay):
    for name, template in pod_templates(overlay):
        spec = template["spec"]
        for container in itertools.chain(spec["containers"], spec.get("initContainers", [])):
            yield f"{name}/{container['name']}", container


def _value(overlay, service, setting):
    container = of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    own = {variable["name"]: variable["value"] for variable in container["env"]}
    maps = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]
    shared = {key: value for name in maps for key, value in of_kind(overlay, "ConfigMap")[name]["data"].items()}
    return (shared | own)[setting]


def test_each_service_is_one_file_of_the_base():
    listed = {file.stem for file in BASE.glob("*.yaml")} - {"kustomization", "namespace", "config", "ingress"}

    assert listed == set(SERVICES)


@overlays
def test_every_service_has_a_deployment_an_account_and_a_disruption_budget(overlay):
    for kind in ("Deployment", "ServiceAccount", "PodDisruptionBudget"):
        assert set(SERVICES) <= set(of_kind(overlay, kind)), kind


@overlays
def test_every_pod_meets_the_restricted_standard(overlay):
    namespace = next(iter(of_kind(overlay, "Namespace").values()))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    for name, template in pod_templates(overlay):
        spec, security = template["spec"], template["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "projected"}, name
    for name, container in _containers(overlay):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security["readOnlyRootFilesystem"] is True, name


@overlays
def test_no_pod_holds_a_token_or_variables_of_other_services(overlay):
    for name, template in pod_templates(overlay):
        assert template["spec"]["automountServiceAccountToken"] is False, name
        assert template["spec"]["enableServiceLinks"] is False, name
        assert (
            of_kind(overlay, "ServiceAccount")[template["spec"]["serviceAccountName"]]["automountServiceAccountToken"]
            is False
        )
    assert not {item["kind"] for item in rendered(overlay)} & {
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
    }


@overlays
def test_every_container_is_bounded_and_every_empty_folder_too(overlay):
    for name, container in _containers(overlay):
        for bounds in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][bounds]), name
    for name, template in pod_templates(overlay):
        folders = [volume["emptyDir"] for volume in template["spec"]["volumes"] if "emptyDir" in volume]
        assert all("sizeLimit" in folder for folder in folders), name


@overlays
def test_every_image_has_a_tag_that_does_not_move_by_itself(overlay):
    for name, container in _containers(overlay):
        image, colon, tag = container["image"].rpartition(":")
        assert image, name
        assert colon, name
        assert tag != "latest", name


@overlays
def test_every_long_running_container_is_probed(overlay):
    jobs = set(of_kind(overlay, "Job"))
    for name, container in _containers(overlay):
        if name.split("/")[0] not in jobs:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name


@overlays
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_ready_by_readyz_and_alive_by_healthz_on_its_own_port(overlay, service):
    container = of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert {ports[container[probe]["httpGet"]["port"]] for probe in paths} == {PORTS[service]}
    assert _value(overlay, service, "GATEWAY_PORT" if service == "gateway" else "PROBES_PORT") == str(PORTS[service])


@overlays
@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_is_killed_only_after_its_work_had_time_to_end_or_to_be_handed_back(overlay, service):
    spec = of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]
    sleep = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    longest = LONGEST_DELIVERY_SECONDS if service in WORKERS else 0

    grace = float(_value(overlay, service, "SHUTDOWN_GRACE_SECONDS"))
    assert spec["terminationGracePeriodSeconds"] >= max(sleep + grace, longest) + 30
    assert (sleep > 0) is (service == "gateway")


@overlays
@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_sets_only_settings_that_exist(overlay, service):
    container = of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    maps = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]

    names = {variable["name"] for variable in container["env"]}
    names |= {key for name in maps for key in of_kind(overlay, "ConfigMap")[name]["data"]}

    assert names - settings_of(service) == set()


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_no_secret_has_a_value_outside_the_local_overlay_and_each_is_documented(overlay):
    assert of_kind(overlay, "Secret") == {}

    referred = {
        source["secretRef"]["name"]
        for _, container in _containers(overlay)
        for source in container.get("envFrom", [])
        if "secretRef" in source
    }
    assert referred == {f"imagetron-{service}" for service in SERVICES}
    documented = (ROOT / "deploy" / "README.md").read_text()
    assert [name for name in referred if f"`{name}`" not in documented] == []


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_nobody_is_trusted_unseen_outside_the_local_overlay(overlay):
    data = of_kind(overlay, "ConfigMap")["imagetron-gateway"]["data"]

    assert "GATEWAY_TRUST_EVERY_CALLER" not in data
    assert of_kind(overlay, "ConfigMap")["imagetron"]["data"]["ENVIRONMENT"] == "production"


@pytest.mark.parametrize("service", SERVICES)
def test_production_spreads_every_service_over_zones_and_nodes(service):
    spec = of_kind("production", "Deployment")[service]["spec"]["template"]["spec"]

    keys = {constraint["topologyKey"] for constraint in spec["topologySpreadConstraints"]}
    assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_the_autoscaler_alone_owns_the_number_of_replicas_and_takes_workers_away_slowly(overlay):
    scaled = of_kind(overlay, "ScaledObject")

    assert set(scaled) == set(SERVICES)
    assert not [name for name in SERVICES if "replicas" in of_kind(overlay, "Deployment")[name]["spec"]]
    for name in WORKERS:
        down = scaled[name]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= LONGEST_DELIVERY_SECONDS, name
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}], name
