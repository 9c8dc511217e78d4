"""How one stage, or the stages of a DAG, are run."""
