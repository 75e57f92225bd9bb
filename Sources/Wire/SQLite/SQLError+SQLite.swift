// SQLite's result codes in the words of the seam.

import GRDB
import GRDBSQLite
import SQL

extension SQLError {
    init(sqliteCode code: CInt, message: String) {
        let kind: Code =
            switch code & 0xFF {
            case SQLITE_CONSTRAINT: .constraint
            // GRDB reports a closed connection as misuse.
            case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_INTERRUPT, SQLITE_MISUSE: .unavailable
            case SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_NOMEM: .storage
            default: .failure
            }
        self.init(kind, message)
    }

    init(sqlite error: any Error) {
        guard let error = error as? DatabaseError else {
            self.init(.unavailable, "\(error)")
            return
        }
        self.init(sqliteCode: error.resultCode.rawValue, message: error.message ?? "no message")
    }
}
