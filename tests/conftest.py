"""Shared by all tests; that it exists makes ``tests.canary`` importable."""
