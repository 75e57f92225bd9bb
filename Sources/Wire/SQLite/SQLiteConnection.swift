// Runs statements on one GRDB connection: prepared once, bound and stepped through SQLite's own calls.

import GRDB
import GRDBSQLite
import SQL

struct SQLiteConnection: SQLConnection {
    let database: Database

    @discardableResult
    func execute(_ statement: SQLStatement) throws(SQLError) -> Int {
        try run(statement) { _ in }
        return Int(sqlite3_changes(database.sqliteConnection))
    }

    func rows(_ statement: SQLStatement) throws(SQLError) -> [SQLRow] {
        var rows: [SQLRow] = []
        try run(statement) { handle in rows.append(Self.row(of: handle)) }
        return rows
    }

    func script(_ text: String) throws(SQLError) {
        do {
            try database.execute(sql: text)
        } catch {
            throw SQLError(sqlite: error)
        }
    }

    func hasTable(_ name: String) throws(SQLError) -> Bool {
        try row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = \(name)") != nil
    }

    private func run(_ statement: SQLStatement, _ onRow: (OpaquePointer) -> Void) throws(SQLError) {
        let handle: OpaquePointer
        do {
            handle = try database.cachedStatement(sql: statement.text).sqliteStatement
        } catch {
            throw SQLError(sqlite: error)
        }
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        for (index, value) in statement.values.enumerated() {
            try check(Self.bind(value, to: handle, at: CInt(index + 1)))
        }
        while true {
            switch sqlite3_step(handle) {
            case SQLITE_ROW: onRow(handle)
            case SQLITE_DONE: return
            case let code: throw failure(code)
            }
        }
    }

    private func check(_ code: CInt) throws(SQLError) {
        if code != SQLITE_OK { throw failure(code) }
    }

    private func failure(_ code: CInt) -> SQLError {
        SQLError(sqliteCode: code, message: String(cString: sqlite3_errmsg(database.sqliteConnection)))
    }

    /// SQLite's `SQLITE_TRANSIENT`, a cast that the importer does not bring over: the value is copied before the call ends.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    private static func bind(_ value: SQLValue, to handle: OpaquePointer, at index: CInt) -> CInt {
        switch value {
        case .null: return sqlite3_bind_null(handle, index)
        case .integer(let value): return sqlite3_bind_int64(handle, index, value)
        case .real(let value): return sqlite3_bind_double(handle, index, value)
        case .text(var value):
            return value.withUTF8 { utf8 in
                utf8.withMemoryRebound(to: CChar.self) { text in
                    // An empty text has no address, and an address of nil would bind NULL.
                    text.isEmpty
                        ? sqlite3_bind_text(handle, index, "", 0, transient)
                        : sqlite3_bind_text(handle, index, text.baseAddress, CInt(text.count), transient)
                }
            }
        case .blob(let value):
            return value.withUnsafeBytes { bytes in
                bytes.isEmpty
                    ? sqlite3_bind_zeroblob(handle, index, 0)
                    : sqlite3_bind_blob(handle, index, bytes.baseAddress, CInt(bytes.count), transient)
            }
        }
    }

    private static func row(of handle: OpaquePointer) -> SQLRow {
        SQLRow(
            (0..<sqlite3_column_count(handle)).map { column in
                switch sqlite3_column_type(handle, column) {
                case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, column))
                case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, column))
                case SQLITE_TEXT:
                    let count = Int(sqlite3_column_bytes(handle, column))
                    guard let text = sqlite3_column_text(handle, column) else { return .text("") }
                    return .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
                case SQLITE_BLOB:
                    let count = Int(sqlite3_column_bytes(handle, column))
                    return .blob(
                        [UInt8](UnsafeRawBufferPointer(start: sqlite3_column_blob(handle, column), count: count)))
                default: return .null
                }
            })
    }
}
