"""Hides people and things in videos and in the pictures of a library. It composes sources, models and detectors."""
