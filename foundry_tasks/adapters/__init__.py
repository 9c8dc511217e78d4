"""The only importers of boto3, mlflow and great_expectations."""
