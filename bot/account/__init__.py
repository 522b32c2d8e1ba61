"""Watches our business phone number and our WhatsApp Business Account at Meta, and keeps the number's QR codes."""
