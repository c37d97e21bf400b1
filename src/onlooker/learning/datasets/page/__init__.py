"""One HTML page of samples with their labels, that works from disk and offline."""

from onlooker.learning.datasets.page.build import PageRequest, build_page

__all__ = ["PageRequest", "build_page"]
