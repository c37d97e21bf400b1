"""One module for each kind of sink, with ``PLUGIN = "module:Class"``."""
