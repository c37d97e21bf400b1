"""One module for each sort of address; each declares in ``takes`` how well it fits."""
