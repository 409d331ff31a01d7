// What a panel has after a while, by Grafana's own StreamingDataFrame (npm @grafana/data).
//
// Standard input: one JSON object a line, {"channel": ..., "message": {"schema"?, "data"}}, in the
// order in which Grafana's server would have sent the messages. Standard output: one JSON object,
// of each channel its fields with all their values, the number of messages that were said to change
// the schema, and the error that ended it, if one did. A channel that has ended takes nothing more,
// as in the browser.
'use strict';
const readline = require('node:readline');
const { StreamingDataFrame } = require('@grafana/data');

const options = { maxLength: Number(process.argv[2] ?? 1e9), maxDelta: Number(process.argv[3] ?? Infinity) };
const channels = new Map();

function push(channel, message) {
  let known = channels.get(channel);
  if (known === undefined) {
    known = { frame: StreamingDataFrame.empty(options), nMessages: 0, nSchemas: 0, error: null };
    channels.set(channel, known);
  }
  if (known.error !== null) return;
  try {
    const info = known.frame.push(message);
    known.nMessages += 1;
    known.nSchemas += info.schemaChanged ? 1 : 0;
  } catch (error) {
    known.error = error.message;
  }
}

const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on('line', (line) => {
  const { channel, message } = JSON.parse(line);
  push(channel, message);
});
lines.on('close', () => {
  const version = require('@grafana/data/package.json').version;
  const found = {};
  for (const [name, { frame, nMessages, nSchemas, error }] of channels) {
    const fields = frame.fields.map((field) => ({
      name: field.name,
      type: field.type,
      labels: field.labels ?? {},
      values: field.values,
    }));
    found[name] = { error, n_messages: nMessages, n_schemas: nSchemas, length: frame.length, fields };
  }
  process.stdout.write(JSON.stringify({ version, channels: found }));
});
