"""Every fault that daosup has an answer to, injected for real and timed: ``make faults`` and ``make soak``."""
