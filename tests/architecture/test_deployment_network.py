"""Who can reach whom, computed from the rendered network policies, equals the table declared here."""

import ipaddress
from collections.abc import Iterator

import pytest

from support.manifests import OVERLAYS, SERVICES, Manifest, of_kind, pod_templates

Edge = tuple[str, str, int]

INTERNET, DNS = "internet", "namespace kubernetes.io/metadata.name=kube-system k8s-app=kube-dns"
INGRESS, MONITORING = "namespace imagetron.io/ingress=allowed", "namespace imagetron.io/monitoring=allowed"
OUTSIDE_BROKER = "namespace imagetron.io/neighbours=allowed app.kubernetes.io/name=rabbitmq"
OUTSIDE_DOCUMENTS = "namespace imagetron.io/neighbours=allowed app.kubernetes.io/name=mongodb"
KEEP_DOCUMENTS = ("gateway", "prompt", "generator")
KEEP_OBJECTS = ("gateway", "generator", "deriver", "publisher")

EVERYWHERE: set[Edge] = {
    (INGRESS, "gateway", 8015),
    *((service, OUTSIDE_BROKER, 5672) for service in SERVICES),
    *((service, OUTSIDE_DOCUMENTS, 27017) for service in KEEP_DOCUMENTS),
    ("prompt", INTERNET, 443),
    ("generator", INTERNET, 443),
    ("generator", "triton", 8001),
}
LOCAL: set[Edge] = {
    *((service, "rabbitmq", 5672) for service in SERVICES),
    *((service, "mongodb", 27017) for service in KEEP_DOCUMENTS),
    *((service, "objects", 8333) for service in KEEP_OBJECTS),
    ("accounts", "rabbitmq", 5672),
    ("accounts", "rabbitmq", 15672),
    ("buckets", "objects", 8333),
}
OUTSIDE: set[Edge] = {
    *((service, INTERNET, 443) for service in KEEP_OBJECTS),
    *((service, "otel-collector", 4318) for service in SERVICES),
    (MONITORING, "gateway", 8015),
    (MONITORING, "prompt", 8016),
    (MONITORING, "generator", 8017),
    (MONITORING, "deriver", 8018),
    (MONITORING, "publisher", 8019),
    (MONITORING, "triton", 8002),
}
DECLARED = {"local": EVERYWHERE | LOCAL, "staging": EVERYWHERE | OUTSIDE, "production": EVERYWHERE | OUTSIDE}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_the_policies_let_through_is_exactly_what_is_declared(overlay):
    pods = dict(_pods(overlay))
    names_resolve: set[Edge] = {(pod, DNS, 53) for pod in pods}

    assert _reachable(overlay, pods) == DECLARED[overlay] | names_resolve


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_internet_never_means_private_networks_or_the_metadata_address(overlay):
    forbidden = ["10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.0.1"]

    for policy in of_kind(overlay, "NetworkPolicy").values():
        for rule in policy["spec"].get("egress", []):
            for peer in rule["to"]:
                excepted = [
                    ipaddress.ip_network(net) for net in peer.get("ipBlock", {"except": ["0.0.0.0/0"]})["except"]
                ]
                for address in forbidden:
                    assert any(ipaddress.ip_address(address) in net for net in excepted), (address, policy["metadata"])


def _pods(overlay: str) -> Iterator[tuple[str, dict[str, str]]]:
    for name, template in pod_templates(overlay):
        yield name, template["metadata"]["labels"]


def _reachable(overlay: str, pods: dict[str, dict[str, str]]) -> set[Edge]:
    """Between pods both sides must allow; what is outside the namespace is judged by our side alone."""
    policies = [policy["spec"] for policy in of_kind(overlay, "NetworkPolicy").values()]
    home = next(iter(of_kind(overlay, "Namespace").values()))["metadata"].get("labels", {})
    leaving = _edges(policies, pods, home, "Egress")
    entering = {(peer, pod, port) for pod, peer, port in _edges(policies, pods, home, "Ingress")}
    inside = {edge for edge in leaving & entering if edge[0] in pods and edge[1] in pods}
    return (
        inside | {edge for edge in leaving if edge[1] not in pods} | {edge for edge in entering if edge[0] not in pods}
    )


def _edges(
    policies: list[Manifest], pods: dict[str, dict[str, str]], home: dict[str, str], direction: str
) -> set[Edge]:
    rules_key, peers_key = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    edges: set[Edge] = set()
    for pod, labels in pods.items():
        selecting = [
            spec for spec in policies if direction in spec["policyTypes"] and _selects(spec["podSelector"], labels)
        ]
        if not selecting:
            edges |= {(pod, peer, 0) for peer in [*pods, "anybody"]}
        for rule in (rule for spec in selecting for rule in spec.get(rules_key, [])):
            ports = [port["port"] for port in rule.get("ports", [{"port": 0}])]
            peers = [name for peer in rule.get(peers_key, [{}]) for name in _named(peer, pods, home)]
            edges |= {(pod, peer, port) for peer in peers for port in ports}
    return edges


def _named(peer: Manifest, pods: dict[str, dict[str, str]], home: dict[str, str]) -> Iterator[str]:
    if not peer:
        yield "anybody"
    elif "ipBlock" in peer:
        yield INTERNET
    else:
        selector = peer.get("podSelector", {})
        if "namespaceSelector" in peer:
            outside = peer["namespaceSelector"]["matchLabels"] | selector.get("matchLabels", {})
            yield "namespace " + " ".join(f"{key}={value}" for key, value in outside.items())
        if "namespaceSelector" not in peer or _selects(peer["namespaceSelector"], home):
            yield from (name for name, labels in pods.items() if _selects(selector, labels))


def _selects(selector: Manifest, labels: dict[str, str]) -> bool:
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", f"this test does not know the operator {expression['operator']}"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_the_ingress_shows_what_callers_use_and_nothing_that_is_for_operators(overlay):
    [ingress] = of_kind(overlay, "Ingress").values()
    shown = [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]

    assert shown == ["/api", "/image", "/webhooks/providers", "/docs", "/openapi.json"]
