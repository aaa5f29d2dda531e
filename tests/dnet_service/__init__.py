"""A node that behaves as DAO's own network service does, for tests: a process of its own, told what to do line by line.

It is written from the published protocol and from what is known of that service, and uses nothing of the package
under test, so the two cannot be wrong in the same way. Its weaknesses are those of the service where they matter: it
receives a frame straight into its mirror, and it can be told to send what a broken or hostile node would. What is not
known of the service is decided here, and marked with "Not known:".
"""
