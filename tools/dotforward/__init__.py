"""Users' .forward files, as sendmail has them."""
