"""From a bundle to a smaller and faster one that keeps a contract."""
