"""Plays Meta, with its Graph API, its webhooks, and a page of phones that look like WhatsApp: the simulator.

Nothing is imported here, so that bodies.py and message_bodies.py can be used without a web framework.
"""
