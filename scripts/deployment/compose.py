"""The compose file, for scripts/check-deploy: everything in it that names something else, without an engine."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
# What runs without a profile: the smallest set that revokes a job.
SMALL = {"rabbitmq", "endpoint", "worker"}
# The ports on which the images of others listen.
LISTENING = {"rabbitmq": {5672, 15672, 15692}, "prometheus": {9090}, "grafana": {3000}}
REFERENCE = re.compile(r"\$\{(\w+)[^}]*\}")
URL = re.compile(r"\w+://(?:[^@/\s]*@)?([\w.]+):(\d+)")


def settings():
    """The variable of every setting that config/default.toml has, commented out or not."""
    names, section = set(), ""
    for line in (ROOT / "config/default.toml").read_text().splitlines():
        if table := re.match(r"\[([\w.]+)\]$", line):
            section = table[1]
        elif key := re.match(r"(?:# )?([a-z_]+) = ", line):
            names.add("REVOKER_" + f"{section}.{key[1]}".replace(".", "__").upper())
    # Every secret can be named by a file.
    return names | {f"{name}_FILE" for name in names} | {"REVOKER_CONFIG"}


def listening(name, service):
    """The ports on which a service listens."""
    command = " ".join(service.get("command", []))
    told = re.findall(r"--listen=\S+:(\d+)", command) or re.findall(
        r":(\d+)$", service.get("environment", {}).get("REVOKER_ADMIN__LISTEN", "")
    )
    return LISTENING.get(name, set()) | {int(port) for port in told}


def faults(document):
    """Yields names in the compose file, and in the files that it mounts, that lead to nothing."""
    services = document["services"]
    small = {name for name, service in services.items() if not service.get("profiles")}
    if small != SMALL:
        yield f"without a profile it starts {sorted(small)}, which is not {sorted(SMALL)}"
    known = settings()
    for name, service in services.items():
        for fault in (*of_service(document, name, service, small), *of_environment(name, service, known)):
            yield f"{name}: {fault}"
    yield from of_variables()
    yield from of_hosts(services)


def of_service(document, name, service, small):
    services = document["services"]
    if "build" not in service and service["image"].partition(":")[2] in ("", "latest"):
        yield f"{service['image']} is no version"
    for other, how in service.get("depends_on", {}).items():
        if other not in services:
            yield f"it depends on {other}, which is no service"
        elif how["condition"] == "service_healthy" and not has_health_check(services[other]):
            yield f"it waits for {other}, which has no health check"
        if name in small and other not in small:
            yield f"it depends on {other}, which only a profile starts"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (ROOT / source).is_dir():
                yield f"{source} is no folder"
        elif source not in document["volumes"]:
            yield f"{source} is no volume"
    for port in service.get("ports", []):
        inner = port.rpartition(":")[2]
        if not port.startswith("127.0.0.1:"):
            yield f"{port} is open to the network"
        if int(inner) not in listening(name, service):
            yield f"nothing listens on {inner}"
    for secret in service.get("secrets", []):
        if secret not in document["secrets"]:
            yield f"{secret} is no secret"


def has_health_check(service):
    image = (ROOT / "Dockerfile").read_text()
    return "healthcheck" in service or ("build" in service and re.search(r"^HEALTHCHECK .* CMD ", image, re.M))


def of_environment(name, service, known):
    environment = service.get("environment", {})
    for variable, value in environment.items():
        if variable.startswith("REVOKER_") and variable not in known:
            yield f"{variable} is no setting"
        if variable.startswith("REVOKER_") and str(value).startswith("/run/secrets/"):
            if Path(value).name not in service.get("secrets", []):
                yield f"{value} is not mounted"
    sources = ["src/cli/mock_endpoint/args.rs", "src/mock_endpoint/script.rs"]
    options = "".join((ROOT / source).read_text() for source in sources)
    for option in re.findall(r"--([a-z-]+)=", " ".join(service.get("command", []))):
        if not re.search(rf"\b{option.replace('-', '_')}: ", options):
            yield f"--{option} is no option of {service['command'][0]}"


def of_variables():
    """Yields variables that the head of the file does not tell a reader to set, or that CI does not."""
    text = COMPOSE.read_text()
    wanted = set(REFERENCE.findall(text)) | set(re.findall(r"^    environment: (\w+)$", text, re.M))
    head = re.search(r"printf '(.*)\\n'", text)[1]
    ci = (ROOT / ".github/workflows/ci.yml").read_text()
    for variable in sorted(wanted):
        if not re.search(rf"(^|\\n){variable}=", head):
            yield f"the head does not set {variable}"
        if not re.search(rf"^      {variable}: ", ci, re.M):
            yield f"the workflow does not set {variable}"


def of_hosts(services):
    """Yields hosts and ports that are named here or in the files of Prometheus and Grafana, but are no service's."""
    named = set()
    for path in (COMPOSE, *sorted((ROOT / "config/grafana/provisioning").rglob("*.yml"))):
        text = re.sub(r"\$\{[^}]*\}", "", re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M))
        named |= {(host, int(port)) for host, port in URL.findall(text) if host != "127.0.0.1"}
    scraped = (ROOT / "config/prometheus/prometheus.yml").read_text()
    named |= {(host, int(port)) for host, port in re.findall(r"targets: \[(\w+):(\d+)\]", scraped)}
    named |= {(host, int(port)) for host, port in re.findall(r"names: \[(\w+)\]\n.*\n +port: (\d+)", scraped)}
    for host, port in sorted(named):
        if host not in services:
            yield f"{host}:{port} is no service"
        elif port not in listening(host, services[host]):
            yield f"{host} does not listen on {port}"
    if len(named) < 5:  # broker twice, endpoint, worker, Prometheus
        yield f"only {sorted(named)} were found: this check needs to be told"
    # The folders that the files of Grafana and Prometheus name, as they are mounted.
    mounted = {volume.split(":")[1]: volume.split(":")[0] for one in services.values() for volume in one.get("volumes", [])}
    provider = (ROOT / "config/grafana/provisioning/dashboards/revoker.yml").read_text()
    path = re.search(r"path: (\S+)", provider)[1]
    if not list((ROOT / mounted.get(path, "nowhere")).glob("*.json")):
        yield f"Grafana looks for dashboards in {path}, where none is mounted"
    for rules in re.findall(r"^  - (\S+\.yml)$", scraped, re.M):
        if not list((ROOT / mounted["/etc/prometheus"]).glob(rules)):
            yield f"Prometheus reads {rules}, which is not there"
