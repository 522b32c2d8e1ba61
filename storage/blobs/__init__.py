"""Where the bytes of files are: a folder, or a bucket of an S3-compatible store."""
