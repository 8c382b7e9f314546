"""What the servers of UCSPI have in common: the loop that accepts, hands over and counts."""
