"""The load driver: customers, a stand-in for Meta and a yardstick, so that speed is a ratio and not an opinion.

Nothing here is imported by the running service.
"""
