// What a table panel makes of its frames, by Grafana's own transformations (npm @grafana/data).
//
// Standard input: {"frames": [{"refId", "name", "fields": [{"name", "type", "values"}]}],
// "transformations": [...]}, the latter as in a dashboard. Standard output: a list of the frames that
// come out, each a list of its fields with the name that people read, and their values.
"use strict";
const { readFileSync } = require("node:fs");
const {
  getFieldDisplayName,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} = require("@grafana/data");

globalThis.window = {}; // a transformation asks it whether it is in a scene
// Some stand under two names.
const byId = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...byId].map(([id, one]) => ({ id, name: id, transformation: async () => one })),
);

const { frames, transformations } = JSON.parse(readFileSync(0, "utf8"));
const context = { interpolate: (text) => text };
transformDataFrame(transformations, frames.map(toDataFrame), context).subscribe((made) => {
  const found = made.map((frame) =>
    frame.fields.map((field) => ({ name: getFieldDisplayName(field, frame, made), values: field.values })),
  );
  process.stdout.write(JSON.stringify(found));
});
