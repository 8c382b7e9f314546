"""Delivery to other hosts."""
