"""What do people see? Grafana, Prometheus rules, the wallboard page and the browser tracker. Knows only `schemas`."""
