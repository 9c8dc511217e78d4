"""The gates, one file each: question, function, style in the report."""
