"""Programs that read and print headers of mail, and take mail from who writes it."""
