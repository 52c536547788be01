"""Where do events come from and where do numbers go? Kafka, Faust, Redis, Prometheus, files, the command line.

A Faust agent is called an *agent function* here; a person is only ever an ``agent_id``.
"""
