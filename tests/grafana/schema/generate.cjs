// node generate.cjs FILE: write the JSON Schema of each type in boards.ts, as one object by name.
const fs = require("node:fs");
const path = require("node:path");
const { createGenerator } = require("ts-json-schema-generator");

const generator = createGenerator({
  path: path.join(__dirname, "boards.ts"),
  tsconfig: path.join(__dirname, "tsconfig.json"),
  expose: "export",
  topRef: true,
  additionalProperties: false,
});
const names = [...fs.readFileSync(path.join(__dirname, "boards.ts"), "utf8").matchAll(/^export interface (\w+)/gm)];
const schemas = Object.fromEntries(names.map(([, name]) => [name, generator.createSchema(name)]));
fs.writeFileSync(process.argv[2], JSON.stringify(schemas));
