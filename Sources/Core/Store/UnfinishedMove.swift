// The mark in a database that an instance is being moved into: while it is there, no server starts on half of an instance, and
// only the rest of the same move may go on.

package import SQL

package enum UnfinishedMove {
    private static let table = "unfinished_move"

    /// The source's fingerprint, where a move into this database was begun and not completed.
    static func source(_ connection: any SQLConnection) throws(SQLError) -> String? {
        guard try connection.hasTable(table) else { return nil }
        return try connection.row("SELECT source FROM unfinished_move")?.text(0)
    }

    static func begin(from source: String, _ connection: any SQLConnection) throws(SQLError) {
        try connection.script("CREATE TABLE unfinished_move (source TEXT NOT NULL)")
        try connection.execute("INSERT INTO unfinished_move (source) VALUES (\(source))")
    }

    static func end(_ connection: any SQLConnection) throws(SQLError) {
        try connection.script("DROP TABLE unfinished_move")
    }

    /// - Throws: `SQLError` with `.failure` where the database holds a part of an instance.
    package static func refuse(_ connection: any SQLConnection) throws(SQLError) {
        guard try connection.hasTable(table) else { return }
        throw SQLError(
            .failure,
            "an instance was being moved into this database, and not all of it is here: run the same "
                + "`postern migrate --from … --to …` again, which goes on where it stopped")
    }
}
