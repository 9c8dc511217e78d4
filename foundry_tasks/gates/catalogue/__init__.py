"""The gates, one file each: question, threshold, judgement and style in the report."""
