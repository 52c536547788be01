"""What does a team lead explore? Grafana's dashboards, generated: `python -m dashboards.grafana` writes them again.

Classic JSON in `json/`, checked in, so that whoever installs them needs no generator. Refuses to know values: each
panel asks Prometheus, mostly for what the recording rules keep.
"""
