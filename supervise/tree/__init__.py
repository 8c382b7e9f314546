"""The supervision tree: svscan, supervise and those who talk to them."""
