"""Benchmarks: what the design promises in numbers, measured and compared in one run.

Knows:  the production parts, this machine's clocks and /proc.
Never:  a verdict inside the test suite: a slow machine is not a wrong program.
Leaves: a table; exit code 1 when a promise was not kept here.
"""
