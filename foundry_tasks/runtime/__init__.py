"""Runs one stage, or the stages of a DAG."""
