"""Inference engines behind one protocol, `onlooker.core.runtime.Runtime`."""
