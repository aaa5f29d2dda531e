"""``daosupctl top``: a host's workers, living, on a whole screen."""
