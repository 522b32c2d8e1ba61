"""Runs the whole program with a stand-in for Meta, for a first look and for trying things out."""
