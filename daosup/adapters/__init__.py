"""One module for each outside party: Redis, processes, files, systemd, the control socket. They decide nothing."""
