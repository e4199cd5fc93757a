"""The catalog of a case: the only place that speaks SQL."""
