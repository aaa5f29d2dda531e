"""A demonstration: two supervised hosts on this machine; one shares a camera and a deformable mirror with the other.

Run ``python -m daosup.demo``, or ``make run``. Nothing it makes outlives it.
"""
