"""Tests of the benchmark: its HTTP, its figures, its baseline and its storm."""
