"""The process that runs a plan for a node. Not for plans to import."""
