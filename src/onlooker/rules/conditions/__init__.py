"""The vocabulary of rules: one module for each condition, called by its name in rule files (``not_`` is ``not``)."""
