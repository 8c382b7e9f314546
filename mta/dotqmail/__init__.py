"""Programs that users write into their .qmail files."""
