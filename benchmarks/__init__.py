"""Compares this template with the approach that it builds on: pickling the session at each run."""
