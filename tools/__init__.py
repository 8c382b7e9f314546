"""What grew around the three packages."""
