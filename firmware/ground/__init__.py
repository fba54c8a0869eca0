"""Ground floor: what every house stands on.

Knows:  time, files, hashes, log lines, errors, tasks.
Never:  a pixel, a key, a person, a network address.
Leaves: durable bytes and log lines made of registered fields.
Clauses: none of its own; it is what the houses obey theirs with.
"""
