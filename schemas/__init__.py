"""What is an event, a partial, a snapshot, a topic, a metric? Data only: nothing here computes a number."""
