"""The city: what leaves the pole, to whom, exactly once.

Knows:  closed messages, the order in which they wait, what the broker answered.
Never:  a picture, a person, free text, a topic it listens to.
Leaves: MQTT messages whose every string is a constant, one of a list, or an anchored pattern.
Clauses: 4.1 (no personal data on the city's platform), 6.2(2) (only statistics are kept), 0 (nothing else leaves).
"""
