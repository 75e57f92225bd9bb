// The seam between what Postern stores and the engine that stores it.

/// A database. Bodies run on the engine's own threads, never on an event loop or on Swift's pool, and may block.
package protocol SQLDatabase: Sendable {
    /// A consistent read: the body sees one snapshot and cannot write.
    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value

    /// A durable write: returns after the commit is on disk. Writes that wait at the same time share one transaction and one
    /// fsync (group commit); a body that throws takes back its own changes only. A body may run twice, its first changes
    /// taken back, so it must do nothing but use its connection. After a statement that failed a body can only end: it may
    /// have to fail with that statement's error, whatever it does then.
    ///
    /// - Parameter cost: bytes that the waiting work holds in memory, counted against the engine's limit.
    /// - Throws: what the body threw, or `SQLError` with `.overloaded` when too much is waiting, before anything was done.
    @discardableResult
    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value

    /// Tells every process on this database that something happened, so that none has to ask all the time. For after the
    /// caller's commit. Never fails and never waits; the engine joins what follows closely, and an announcement may be lost.
    func announce(_ topic: String)

    /// What was announced from now on, by us and by others; `"*"` after a lost connection: anything may have happened.
    func announcements() -> AsyncStream<String>

    /// Whether several processes may use this database at the same time.
    var isShared: Bool { get }

    /// The engine's name as people know it: "SQLite", "PostgreSQL".
    var name: String { get }

    /// Finishes the writes that wait, then closes. Later calls throw `.unavailable`.
    func close() async
}

extension SQLDatabase {
    @discardableResult
    package func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await write(cost: 256, body)
    }
}

/// A connection inside `read` or `write`: valid only there.
package protocol SQLConnection {
    /// Runs a statement that changes rows; returns how many.
    @discardableResult
    func execute(_ statement: SQLStatement) throws(SQLError) -> Int

    /// Runs a statement that changes rows where nobody asks how many. An engine may keep it and send it together with what
    /// follows; its error is thrown then, at the latest by the commit.
    func send(_ statement: SQLStatement) throws(SQLError)

    /// Runs a statement and collects its rows.
    ///
    /// Where several may write, a SELECT of a write that ends in `/* lock */` holds the rows it finds until the commit. One
    /// that ends in `/* skip locked */` does so as well, and passes over rows that another transaction holds.
    func rows(_ statement: SQLStatement) throws(SQLError) -> [SQLRow]

    /// Runs several statements of a migration, separated by semicolons, without a time limit. From here to the commit no
    /// other process runs a script.
    func script(_ text: String) throws(SQLError)

    /// Whether there is a table of this name, lower-case and without a schema.
    func hasTable(_ name: String) throws(SQLError) -> Bool

    /// The columns of a table in their order; none where there is no such table.
    func columns(of table: String) throws(SQLError) -> [SQLColumn]
}

extension SQLConnection {
    package func send(_ statement: SQLStatement) throws(SQLError) { try execute(statement) }

    package func row(_ statement: SQLStatement) throws(SQLError) -> SQLRow? { try rows(statement).first }
}
