"""Lay out, check and mend a home."""
