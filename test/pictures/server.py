"""Talks to imgapi as its users do: by SQL, to the server of PGHOST."""
import collections
import json

import psycopg2

DATABASE = "imgapi_pictures"

# psycopg2 cannot create a database within a transaction.
def _administer(statement):
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


class Refused(Exception):
    """An error of the server: its SQLSTATE, message and hint."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error.pgcode, error.diag.message_primary))
        self.code = error.pgcode
        self.message = error.diag.message_primary or ""
        self.hint = error.diag.message_hint or ""


_connection = None


def start():
    global _connection
    _administer("DROP DATABASE IF EXISTS " + DATABASE)
    _administer("CREATE DATABASE " + DATABASE)
    _connection = psycopg2.connect(dbname=DATABASE)
    _connection.autocommit = True
    query("CREATE EXTENSION imgapi")


def stop():
    _connection.close()
    _administer("DROP DATABASE %s WITH (FORCE)" % DATABASE)


def query(statement, *values):
    cursor = _connection.cursor()
    try:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else None
    except psycopg2.Error as error:
        raise Refused(error) from None


def edit(data, operations, output=None):
    """The bytes that img_edit() makes."""
    rows = query("SELECT img_edit(%s, %s::jsonb, %s::jsonb)", psycopg2.Binary(data), json.dumps(operations),
                 None if output is None else json.dumps(output))
    return bytes(rows[0][0])


COLUMNS = ("format", "mime", "ext", "width", "height", "mps", "bytes", "pages", "has_alpha", "orientation",
           "color_space", "has_icc", "taken_at", "lat", "lng")
Facts = collections.namedtuple("Facts", COLUMNS)


def info(data):
    return Facts(*query("SELECT %s FROM img_info(%%s)" % ", ".join(COLUMNS), psycopg2.Binary(data))[0])


def stored(data):
    """The id of a job whose output is this picture: what operations can name."""
    job = query("SELECT img_submit(%s, '{}', '{\"format\": \"png\"}')", psycopg2.Binary(data))[0][0]
    status = query("SELECT img_wait(%s, '1 minute')", job)[0][0]
    assert status == "DONE", "the job ended as " + status
    return job


def filed(data):
    """The path of a file of the file tree that is this picture."""
    return query("SELECT path FROM img_file_put('/mark.png', %s, overwrite => true)", psycopg2.Binary(data))[0][0]


def apply(data, steps):
    """Rows of ordinal, name and bytes that an operation of these steps gives."""
    query("SELECT img_operation_put('tried', %s::jsonb)", json.dumps(steps))
    return [(ordinal, name, bytes(image)) for ordinal, name, image in
            query("SELECT ordinal, name, image FROM img_apply(%s, 'tried') ORDER BY ordinal", psycopg2.Binary(data))]


def contract():
    return query("SELECT img_operations_contract()")[0][0]
