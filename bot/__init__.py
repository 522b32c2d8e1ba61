"""Runs the bot on WhatsApp: takes webhooks in, plays the lanes, and sends what is in the outbox."""
