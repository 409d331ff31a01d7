"""Load on the whole system, and what it costs: ``chevet bench``."""
