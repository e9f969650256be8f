"""A sweep as one HTML file that works offline: `write(results, path)`, or `jaxbn report RUN`."""

from jaxbn.report.page import page, write

__all__ = ["page", "write"]
