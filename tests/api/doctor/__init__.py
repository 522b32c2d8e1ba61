"""Tests of the doctor, against set-ups that are broken in every way that it knows."""
