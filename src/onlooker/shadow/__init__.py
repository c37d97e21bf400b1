"""Shadow mode: a candidate runs beside the bundle in use, on the same pictures, and what differs is told.

The candidate's observations go to no library, rule or sink: they are only compared.
"""

from __future__ import annotations
