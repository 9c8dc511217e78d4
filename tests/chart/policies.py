"""Evaluates NetworkPolicies by Kubernetes' rules."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from tests.chart.helm import Object


@dataclass(frozen=True)
class Peer:
    """A pod with its labels, or an address outside the cluster."""

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = ""


def reaches(policies: list[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the source's policies allow egress and the target's allow ingress."""
    return all(allows(policies, way, source, target, port, protocol) for way in ("Egress", "Ingress"))


def allows(policies: list[Object], way: str, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether one end allows it: the source for Egress, the target for Ingress."""
    own, other = (source, target) if way == "Egress" else (target, source)
    if own.address:
        return True
    about = [
        one["spec"]
        for one in policies
        if one["metadata"]["namespace"] == own.namespace
        and way in one["spec"]["policyTypes"]
        and selects(one["spec"]["podSelector"], own.labels)
    ]
    rules = [rule for spec in about for rule in spec.get(way.lower(), ())]
    return not about or any(_rule_lets(rule, other, port, protocol, way) for rule in rules)


def _rule_lets(rule: Any, other: Peer, port: int, protocol: str, way: str) -> bool:
    ports = rule.get("ports")
    fits = not ports or any(one["port"] == port and one.get("protocol", "TCP") == protocol for one in ports)
    peers = rule.get("to" if way == "Egress" else "from")
    return fits and (not peers or any(_is(peer, other) for peer in peers))


def _is(peer: Any, other: Peer) -> bool:
    if "ipBlock" in peer:
        return bool(other.address) and _is_in(peer["ipBlock"], other.address)
    if other.address:
        return False
    names = {"kubernetes.io/metadata.name": other.namespace}
    return selects(peer.get("namespaceSelector", {"matchLabels": names}), names) and selects(
        peer.get("podSelector", {}), other.labels
    )


def _is_in(block: Any, address: str) -> bool:
    ip = ipaddress.ip_address(address)
    without = any(ip in ipaddress.ip_network(one) for one in block.get("except", ()))
    return ip in ipaddress.ip_network(block["cidr"]) and not without


def selects(selector: Any, labels: dict[str, str]) -> bool:
    """Whether a label selector matches these labels."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )
