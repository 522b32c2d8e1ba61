"""Speaks WhatsApp's Cloud API: what Meta sends, what it accepts, and what its answers mean.

A docstring's "Source: Meta, PAGE" names a page of Meta's documentation by its path below
https://developers.facebook.com/documentation/business-messaging/whatsapp/.
"""
