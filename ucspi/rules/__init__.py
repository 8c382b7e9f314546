"""Access rules: their language, their cdb, their decision."""
