"""Processes: how a command is run, signals, users, limits, time stamps, supervision, logs."""
