"""Configuration from a file: pipelines, routes, the middlewares that are installed."""

from wspipe.config.application import ConfiguredMiddleware
from wspipe.config.config import Config, NamedPipeline
from wspipe.config.problems import ConfigurationError, Problem
from wspipe.config.registry import BrokenPlugin, Plugin, Registry

__all__ = [
    "BrokenPlugin",
    "Config",
    "ConfigurationError",
    "ConfiguredMiddleware",
    "NamedPipeline",
    "Plugin",
    "Problem",
    "Registry",
]
