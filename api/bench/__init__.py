"""The benchmark: a load driver, a stand-in for Meta and a baseline program, so that speed is a ratio of the two.

Nothing here is imported by the running service.
"""
