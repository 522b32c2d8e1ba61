"""Measures Tick beside a baseline program, with a load driver and a stand-in for Meta, so that speed is a ratio.

Nothing here is imported by the running service.
"""
