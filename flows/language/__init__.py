"""Compares what customers write with known words, and fits text into what WhatsApp takes."""
