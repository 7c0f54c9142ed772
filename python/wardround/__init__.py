"""Wardround's Python package: training plans, and the process that runs them on a node.

``wardround.plans`` is what a researcher imports. ``wardround.worker`` is what a node starts;
nothing in a plan should import it.
"""

__version__ = "0.1.0"
