"""Reads YAML files and checks Kubernetes' own kinds: for the environment that scripts/check-deploy makes.

usage: kubernetes.py VERSION,VERSION... FILE...    prints JSON: every document with its file, and the faults
"""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml

# Other kinds have no schema here; those of kustomize are read by kubectl alone.
FOREIGN = ("keda.sh", "monitoring.coreos.com", "kustomize.config.k8s.io")


def faults(name, document, versions):
    """What is wrong with a document of one of Kubernetes' own kinds."""
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{name}: {error.message}"


def main(versions, *names):
    read = {"documents": [], "faults": []}
    for name in names:
        for document in yaml.safe_load_all(Path(name).read_text(encoding="utf-8")):
            if document is None:  # a template whose option is off
                continue
            read["documents"].append([name, document])
            if "apiVersion" in document and not document["apiVersion"].startswith(FOREIGN):
                read["faults"] += faults(name, document, versions.split(","))
    json.dump(read, sys.stdout, default=str)


main(*sys.argv[1:])
