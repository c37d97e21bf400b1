"""Conformance suites and drivers for plug-in authors."""
