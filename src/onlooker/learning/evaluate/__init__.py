"""How good a bundle is on a dataset: metrics with intervals, robustness, errors, comparison of two, leaks."""
