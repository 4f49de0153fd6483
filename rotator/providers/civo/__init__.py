"""Civo: the one API key of an account, made by the operator."""
