"""The paper's measurements, on data sets that the user has: of what is shipped, not of a copy."""
