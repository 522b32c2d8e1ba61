"""Makes a backup of the embedded default, SQLite and a folder of files, and restores one (`tick backup | restore`)."""
