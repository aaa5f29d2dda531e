"""What the fork server imports, so that every worker shares it.

``gc.freeze`` keeps the garbage collector of a worker from touching, and so copying, the pages it shares.
"""

import gc

import daosup.workers.life  # noqa: F401  # imported for its effect: whoever is forked has it

gc.collect()
gc.freeze()
