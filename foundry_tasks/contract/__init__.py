"""What a stage promises and what a DAG may know: pydantic and the standard library only."""
