"""The bot on WhatsApp: intake, lanes, delivery."""
