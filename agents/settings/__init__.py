"""What can Queuelight be told, and what is in force? `load` reads it; every table of the file has its module."""

from agents.settings.in_force import VARIABLE_PREFIX, Settings, dotted, load, model_of, nearest, variables

__all__ = ["VARIABLE_PREFIX", "Settings", "dotted", "load", "model_of", "nearest", "variables"]
