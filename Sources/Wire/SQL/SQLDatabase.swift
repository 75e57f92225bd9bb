// The seam between what Postern stores and the engine that stores it.

/// A database. Bodies run on the engine's own threads, never on an event loop or on Swift's pool, and may block.
package protocol SQLDatabase: Sendable {
    /// A consistent read: the body sees one snapshot and cannot write.
    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value

    /// A durable write: returns after the commit is on disk. Writes that wait at the same time share one transaction and one
    /// fsync (group commit); a body that throws takes back its own changes only. A body may run twice, its first changes
    /// taken back, so it must do nothing but use its connection.
    ///
    /// - Parameter cost: bytes that the waiting work holds in memory, counted against the engine's limit.
    /// - Throws: what the body threw, or `SQLError` with `.overloaded` when too much is waiting, before anything was done.
    @discardableResult
    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value

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

    /// Runs a statement and collects its rows.
    func rows(_ statement: SQLStatement) throws(SQLError) -> [SQLRow]

    /// Runs several statements of a migration, separated by semicolons.
    func script(_ text: String) throws(SQLError)
}

extension SQLConnection {
    package func row(_ statement: SQLStatement) throws(SQLError) -> SQLRow? { try rows(statement).first }
}
