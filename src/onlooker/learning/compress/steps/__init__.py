"""Steps of compression, one module each; see `onlooker.learning.compress.step`."""
