"""What daosup promises in numbers, measured: ``python -m bench`` (or ``make bench``).

Each number is taken several times with the machine's own noise beside it, and where a bare program of the same kind
can be written it runs in turn with daosup in the same run, so that the ratio means something on a busy machine too.
"""
