"""Papers: what an officer prints or reads in the morning.

Knows:  facts of poles, holds, cases and recipients, as others worked them out.
Never:  a picture, a count of people, an officer's name.
Leaves: pages, in Japanese and English.
Clauses: 7.1(4) (holds that end are seen before they end), 7.3(1)2.
"""
