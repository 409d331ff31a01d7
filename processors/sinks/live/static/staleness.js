// How many seconds old a value of each quantity may be and still be shown as current. The one place
// that says so: the pages import it, and staleness.py reads it for the boards.
export const STALE_S = {
  "heart_rate": 5,
  "spo2": 5,
  "pulse_rate": 5,
  "respiratory_rate": 30,
  "body_temperature": 300,
  "perfusion_index": 5,
  "battery_level": 3600
};
