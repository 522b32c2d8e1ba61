"""A stand-in for Meta: the Graph API, the webhooks, and a page of phones that look like WhatsApp.

Nothing is imported here, so that bodies.py can be used without a web framework.
"""
