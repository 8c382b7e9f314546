"""Mail that waits in a Maildir, sent over a link that is slow, or often not there."""
