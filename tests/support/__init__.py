"""What the tests of all packages share: servers, databases, HTTP clients, page objects, and the scheduling of a run.

Fixtures are handed on by tests/conftest.py; everything else is imported by those who need it. What only one package
needs lies beside its tests.
"""
