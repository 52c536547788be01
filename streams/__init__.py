"""What do events mean? Pure computation: no clock, no I/O, no global randomness; time is an argument."""
