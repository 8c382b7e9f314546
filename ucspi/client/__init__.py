"""tcpclient and the small clients that it runs."""
