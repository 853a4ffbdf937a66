-- imgapi: image work inside the database.
-- Built from sql/install/*.sql; see README.md for use.
\echo Use "CREATE EXTENSION imgapi" to load this file. \quit

