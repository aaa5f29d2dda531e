"""A demonstration: two supervised hosts on this machine, a camera and a deformable mirror that one shares with the other.

Run ``python -m daosup.demo``, or ``make run``. Nothing it makes outlives it.
"""
