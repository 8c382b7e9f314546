"""Programs that users put into their .qmail files."""
