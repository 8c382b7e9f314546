"""Refuse mail whose sender has a domain that does not exist."""
