"""Ways of balancing tasks, one file each; see `onlooker.learning.balance`."""
