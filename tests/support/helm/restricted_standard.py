"""The Restricted Pod Security Standard of Kubernetes as one function over a pod's spec.

The rules are those of kubernetes.io/docs/concepts/security/pod-security-standards; each problem begins with the name of
its rule there.
"""

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
}
_SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

Spec = dict[str, Any]


def violations(pod: Spec) -> list[str]:
    """What of a pod's `spec` the standard forbids; empty if a namespace that enforces it takes the pod."""
    return [*_of_pod(pod), *(problem for container in containers(pod) for problem in _of_container(pod, container))]


def containers(pod: Spec) -> list[Spec]:
    return [
        container for kind in ("initContainers", "containers", "ephemeralContainers") for container in pod.get(kind, [])
    ]


def _of_pod(pod: Spec) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"Host Namespaces: {name}"
    for volume in pod.get("volumes", []):
        yield from (f"Volume Types: {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)
    for sysctl in pod.get("securityContext", {}).get("sysctls", []):
        if sysctl["name"] not in _SYSCTLS:
            yield f"Sysctls: {sysctl['name']}"
    if pod.get("securityContext", {}).get("runAsUser") == 0:
        yield "Running as Non-root user: the pod has user 0"


def _of_container(pod: Spec, container: Spec) -> Iterator[str]:
    of_pod, own, name = pod.get("securityContext", {}), container.get("securityContext", {}), container["name"]
    effective = of_pod | own
    rules = {
        "HostProcess": any(context.get("windowsOptions", {}).get("hostProcess") for context in (of_pod, own)),
        "Privileged Containers": own.get("privileged"),
        "SELinux": any(not _allowed(context.get("seLinuxOptions", {})) for context in (of_pod, own)),
        "AppArmor": effective.get("appArmorProfile", {}).get("type") == "Unconfined",
        "/proc Mount Type": own.get("procMount", "Default") != "Default",
        "Host Ports": any(port.get("hostPort") for port in container.get("ports", [])),
        "Host Probes / Lifecycle Hooks": any(_asks_host(hook) for hook in _hooks(container)),
        "Privilege Escalation": own.get("allowPrivilegeEscalation") is not False,
        "Running as Non-root": effective.get("runAsNonRoot") is not True,
        "Running as Non-root user": own.get("runAsUser") == 0,
        "Seccomp": effective.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"},
        "Capabilities": not _without_capabilities(own.get("capabilities", {})),
    }
    yield from (f"{rule}: {name}" for rule, broken in rules.items() if broken)


def _allowed(selinux: Spec) -> bool:
    return selinux.get("type") in _SELINUX and not selinux.get("user") and not selinux.get("role")


def _without_capabilities(capabilities: Spec) -> bool:
    return "ALL" in capabilities.get("drop", []) and set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}


def _hooks(container: Spec) -> list[Spec]:
    return [container.get(probe, {}) for probe in _PROBES] + list(container.get("lifecycle", {}).values())


def _asks_host(hook: Spec) -> bool:
    return any(hook.get(action, {}).get("host") for action in ("httpGet", "tcpSocket"))
