"""Delivery to the users of this machine."""
