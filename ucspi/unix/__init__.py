"""unixserver, unixclient and unixcat: UCSPI over sockets in the file system."""
