"""Situations that an operator meets: played on real hosts, and written down with what the commands really printed."""
