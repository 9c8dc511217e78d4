"""The gates, one file each: what it asks, how it judges, how the report shows it."""
