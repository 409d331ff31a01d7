"""The Grafana Live sink: the last seconds of watched subjects, pushed to Grafana's panels."""
