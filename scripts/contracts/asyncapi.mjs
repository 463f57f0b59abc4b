// The parser of AsyncAPI, for scripts/check-schemas. Prints the faults of a document as JSON.
//
// usage: node asyncapi.mjs FILE

import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const [, , file] = process.argv;
const { document, diagnostics } = await new Parser().parse(await readFile(file, "utf8"), { source: file });
const faults = diagnostics
  .filter(({ severity }) => severity === 0 || severity === 1)
  .map(({ path, message }) => `asyncapi.json: ${path.join(".")}: ${message}`);
if (!document && !faults.length) faults.push("asyncapi.json: it cannot be read");
process.stdout.write(JSON.stringify(faults));
