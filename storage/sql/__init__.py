"""Opens the SQL database, the only way to it, for SQLite, MySQL and MariaDB alike."""
