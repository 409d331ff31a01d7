"""The agent on the patient's side: links, time, framing, spool, delivery."""
