"""Runs every bundle that was added, under the bundle's name; see README.md."""
