"""Networks, one readable file each; see `onlooker.learning.network`."""
