"""Drivers: the only importers of hardware and service libraries; each implements a port of the house that uses it."""
