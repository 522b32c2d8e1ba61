"""The only door to the SQL database, for SQLite, MySQL and MariaDB alike."""
