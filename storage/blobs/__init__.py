"""Stores the bytes of files in a folder, or in a bucket of an S3-compatible store."""
