// Reads the server's messages; protocol.py says what they are.

export const PROTOCOL_VERSION = 1;

const HEADER_BYTES = 40;
const INT16 = 1;
const INT32 = 2;
const HISTORY = 1;
const NS_PER_MS = 1e6;

// 64-bit nanoseconds to milliseconds, keeping the fraction that a double can hold.
function ms(ns) {
  return Number(ns / 1000n) / 1000;
}

export function decodeSamples(buffer) {
  if (buffer.byteLength < HEADER_BYTES) throw new RangeError(`${buffer.byteLength} bytes are no samples`);
  const header = new DataView(buffer, 0, HEADER_BYTES);
  const kind = header.getUint8(0);
  const n = header.getUint32(4, true);
  const counts = kind === INT16 ? new Int16Array(buffer, HEADER_BYTES, n)
    : kind === INT32 ? new Int32Array(buffer, HEADER_BYTES, n) : null;
  if (counts === null) throw new RangeError(`kind of counts ${kind} is unknown`);
  const receivedNs = header.getBigInt64(24, true);
  return {
    channelId: header.getUint16(2, true),
    history: (header.getUint8(1) & HISTORY) !== 0,
    iFirst: Number(header.getBigInt64(8, true)),
    t0Ms: ms(header.getBigInt64(16, true)),
    receivedMs: receivedNs === 0n ? null : ms(receivedNs),
    sentMs: ms(header.getBigInt64(32, true)),
    counts,
  };
}

export function periodMs(channel) {
  return channel.period_ns[0] / channel.period_ns[1] / NS_PER_MS;
}
