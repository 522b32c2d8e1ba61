"""Where the bytes of files lie: a folder, or an S3 store."""
