"""Configs, documents and types that stages, DAGs and the CLI share. Imports pydantic and the standard library only."""
