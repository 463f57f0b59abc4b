// Checks the kinds that KEDA and the Prometheus operator bring, and the compose file, by the schemas of npm's packages.
//
// Run by scripts/check-deploy from the folder that holds node_modules, with [file, document] pairs as JSON on standard
// input. Prints one line per fault, and at last, on standard error, how many documents it knew.

import { readdirSync, readFileSync } from "node:fs";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication";
import { Ajv } from "ajv";

const KINDS = { ServiceMonitor, PrometheusRule, ScaledObject, TriggerAuthentication };
const DECLARATIONS = ["@kubernetes-models", "kubernetes-models"];
// What stands in these is the writer's own, or the scaler's.
const FREE = new Set(["labels", "annotations", "matchLabels", "metadata"]);

// The validators let unknown fields pass, and an operator drops them: a field with a slip in it is no field. So each
// one must at least be declared somewhere.
const declared = new Set(
  DECLARATIONS.flatMap((name) =>
    readdirSync(`node_modules/${name}`, { recursive: true })
      .filter((path) => path.endsWith(".d.ts"))
      .flatMap((path) => [...readFileSync(`node_modules/${name}/${path}`, "utf8").matchAll(/^ +"(\w+)"\??:/gm)])
      .map((match) => match[1]),
  ),
);

function* unknownFields(value, path) {
  if (value === null || typeof value !== "object") return;
  for (const [key, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && !declared.has(key)) yield `${path}/${key} is no known field`;
    if (!FREE.has(key)) yield* unknownFields(inner, `${path}/${key}`);
  }
}

function* faultsOfKind(document) {
  try {
    new KINDS[document.kind](document).validate();
  } catch (error) {
    yield error.message;
  }
  yield* unknownFields(document, "");
}

const schema = JSON.parse(readFileSync("node_modules/dclint/schemas/compose.schema.json"));
delete schema.$schema; // draft 7, under an address that nobody else gives it
const isCompose = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);

function* faultsOfCompose(document) {
  if (!isCompose(document)) for (const error of isCompose.errors) yield `${error.instancePath} ${error.message}`;
}

let known = 0;
for (const [file, document] of JSON.parse(readFileSync(0))) {
  const check = KINDS[document.kind] ? faultsOfKind : file.endsWith("docker-compose.yml") && faultsOfCompose;
  if (!check) continue;
  known += 1;
  for (const fault of check(document)) console.log(`${file}: ${fault}`);
}
console.error(known);
