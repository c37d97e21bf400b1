"""Ways of joining inputs, one file each; see `onlooker.learning.fusing`."""
