"""What an operator decides: a YAML file, environment variables over it, and every error with its place.

A package, so that writing (`source`, `yaml_source`, `environment`), meaning (the sections) and contradictions
(`satisfiable`) can be read apart.
"""
