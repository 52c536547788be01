"""Where do visitors and journeys go? Topics, Redis, webhooks, the terminal; `streams.journeys` knows what they mean."""
