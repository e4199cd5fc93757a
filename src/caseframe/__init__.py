"""Caseframe turns a folder of pictures into a case that people can look through."""

__version__ = "0.1.0"
