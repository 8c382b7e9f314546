"""Lists of addresses in the domain name system, and the refusal of clients that stand in them."""
