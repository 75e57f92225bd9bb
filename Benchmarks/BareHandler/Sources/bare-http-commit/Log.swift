// The table that requests are written to: WAL and synchronous=FULL, as in Postern, so that a commit is on disk.

import CSQLite

struct SQLiteFailure: Error, CustomStringConvertible {
    let description: String
}

/// One connection and one prepared insert, used from one thread at a time.
struct Log: ~Copyable {
    private let database: OpaquePointer
    private let insert: OpaquePointer

    private init(database: OpaquePointer, insert: OpaquePointer) {
        self.database = database
        self.insert = insert
    }

    static func open(path: String) throws(SQLiteFailure) -> Log {
        var opened: OpaquePointer?
        guard sqlite3_open(path, &opened) == SQLITE_OK, let database = opened else {
            sqlite3_close(opened)
            throw SQLiteFailure(description: "\(path) cannot be opened")
        }
        var insert: OpaquePointer?
        let setup = """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            PRAGMA wal_autocheckpoint = 4000;
            CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
            """
        guard sqlite3_exec(database, setup, nil, nil, nil) == SQLITE_OK,
            sqlite3_prepare_v2(database, "INSERT INTO messages (body) VALUES (?)", -1, &insert, nil) == SQLITE_OK,
            let insert
        else {
            defer { sqlite3_close(database) }
            throw SQLiteFailure(description: String(cString: sqlite3_errmsg(database)))
        }
        return Log(database: database, insert: insert)
    }

    deinit {
        sqlite3_finalize(insert)
        sqlite3_close(database)
    }

    func begin() throws(SQLiteFailure) { try execute("BEGIN IMMEDIATE") }

    /// Returns only when the transaction is on disk.
    func commit() throws(SQLiteFailure) { try execute("COMMIT") }

    /// The id of the new row.
    func append(_ body: UnsafeRawBufferPointer) throws(SQLiteFailure) -> Int64 {
        // No destructor: the bytes outlive the step below.
        guard sqlite3_bind_blob(insert, 1, body.baseAddress, Int32(body.count), nil) == SQLITE_OK,
            sqlite3_step(insert) == SQLITE_DONE,
            sqlite3_reset(insert) == SQLITE_OK
        else { throw failure() }
        return sqlite3_last_insert_rowid(database)
    }

    private func execute(_ statement: String) throws(SQLiteFailure) {
        guard sqlite3_exec(database, statement, nil, nil, nil) == SQLITE_OK else { throw failure() }
    }

    private func failure() -> SQLiteFailure { SQLiteFailure(description: String(cString: sqlite3_errmsg(database))) }
}
