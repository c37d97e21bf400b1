"""Heads of tasks, one file each; see `onlooker.learning.task`."""
