"""Drivers: the only importers of hardware and service libraries.

Knows:  libraries, devices, child processes, sockets.
Never:  a rule; each implements a port that a house below owns, and translates foreign errors at its edge.
Leaves: what its port says.
Clauses: those of the houses it serves.
"""
