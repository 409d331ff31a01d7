"""Grafana as code: the dashboards are built by Python and committed as the JSON that it reads."""
