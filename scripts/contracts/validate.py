"""The validators of JSON Schema and OpenAPI, for scripts/check-schemas. Runs where their packages are.

usage: validate.py FOLDER [MESSAGES]  prints faults as JSON: of the schemas, or of messages and responses
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012


class Schemas:
    """The documents of a folder, by their names."""

    def __init__(self, folder):
        self.documents = {path.name: json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.json"))}
        resources = [(name, DRAFT202012.create_resource(document)) for name, document in self.documents.items()]
        self.registry = Registry().with_resources(resources)

    def schemas(self):
        """The names of the JSON Schemas."""
        return [name for name in self.documents if name.endswith(".schema.json")]

    def faults_of(self, what, value, reference):
        """Yields what a schema says against a value."""
        checker = Draft202012Validator.FORMAT_CHECKER
        validator = Draft202012Validator({"$ref": reference}, registry=self.registry, format_checker=checker)
        yield from (f"{what}: {error.json_path}: {error.message}" for error in validator.iter_errors(value))

    def fits(self, value, name):
        return not list(self.faults_of(name, value, name))


def faults_of_documents(schemas):
    """What the specifications say against the documents."""
    for name in schemas.schemas():
        document = schemas.documents[name]
        metaschema = Draft202012Validator(Draft202012Validator.META_SCHEMA)
        yield from (f"{name}: {error.json_path}: {error.message}" for error in metaschema.iter_errors(document))
        if document.get("$schema") != Draft202012Validator.META_SCHEMA["$id"]:
            yield f"{name}: its $schema is not draft 2020-12"
        # Resolves every reference.
        list(schemas.faults_of(name, {key: None for key in document.get("properties", {})}, name))
        for example in document.get("examples", []):
            yield from schemas.faults_of(f"{name}: an example", example, name)
    document = schemas.documents["openapi.json"]
    yield from (f"openapi.json: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors())


def faults_of_cases(schemas):
    """Jobs of which the schema thinks otherwise than the worker. A test of the worker reads the same cases."""
    cases = schemas.documents["job.cases.json"]
    for case in cases["accepted"]:
        yield from schemas.faults_of(f"accepted job {json.dumps(case)}", case, "job.schema.json")
    for case in cases["refused"]:
        if schemas.fits(case, "job.schema.json"):
            yield f"the schema accepts the job {json.dumps(case)}"


def faults_of_messages(schemas, collected):
    """Real messages and responses that their schemas refuse."""
    for name in ("job", "dead-letter-headers", "parked-job-headers", "outcome-event"):
        if not collected[name]:
            yield f"no {name} was collected"
        for value in collected[name]:
            yield from schemas.faults_of(f"{name} {json.dumps(value)}", value, f"{name}.schema.json")
    seen = set()
    for response in collected["responses"]:
        path, status = response["path"], str(response["status"])
        seen.add((path, status))
        described = schemas.documents["openapi.json"]["paths"][path]["get"]["responses"].get(status)
        kind = response["content_type"]
        if described is None or kind not in described["content"]:
            yield f"{path}: {status} with {kind} is not described"
            continue
        body = json.loads(response["body"]) if kind == "application/json" else response["body"]
        parts = [path.replace("/", "~1"), "get", "responses", status, "content", kind.replace("/", "~1"), "schema"]
        reference = "openapi.json#/paths/" + "/".join(part.replace(" ", "%20") for part in parts)
        yield from schemas.faults_of(f"{path} {status}", body, reference)
    for wanted in (("/livez", "200"), ("/readyz", "200"), ("/readyz", "503"), ("/metrics", "200"), ("/", "200")):
        if wanted not in seen:
            yield f"no response {wanted} was collected"


def main(folder, messages=None):
    schemas = Schemas(folder)
    if messages:
        collected = json.loads(Path(messages).read_text())
        faults = list(faults_of_messages(schemas, collected))
        told = ", ".join(f"{len(values)} {name}" for name, values in collected.items()) + " are valid."
    else:
        faults = [*faults_of_documents(schemas), *faults_of_cases(schemas)]
        cases = schemas.documents["job.cases.json"]
        told = f"{len(schemas.schemas())} schemas and the OpenAPI document are valid; "
        told += f"{len(cases['accepted'])} jobs are accepted and {len(cases['refused'])} refused."
    json.dump({"faults": faults, "told": f"{len(faults)} faults." if faults else told}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
