// What a body sees of a connection: statements run, and the first failure is kept for the transaction's end.

import SQL

/// After a failure the server refuses everything up to the end of the transaction, and so do we.
final class Session: SQLConnection {
    let link: Link
    /// The first failure since the transaction, or its part, began.
    private(set) var failure: Failure?

    init(_ link: Link) { self.link = link }

    @discardableResult
    func execute(_ statement: SQLStatement) throws(SQLError) -> Int {
        try send(statement)
        return try exchange()?.affected ?? 0
    }

    func send(_ statement: SQLStatement) throws(SQLError) {
        if let failure { throw failure.error }
        do throws(Failure) { try link.add(statement) } catch { throw keep(error) }
    }

    func rows(_ statement: SQLStatement) throws(SQLError) -> [SQLRow] {
        try send(statement)
        return try exchange()?.rows() ?? []
    }

    func script(_ text: String) throws(SQLError) {
        if let failure { throw failure.error }
        do throws(Failure) {
            try link.script(Dialect.scriptPreamble + Dialect.script(text), isPatient: true)
        } catch {
            throw keep(error)
        }
    }

    func hasTable(_ name: String) throws(SQLError) -> Bool {
        try row("SELECT to_regclass(\(name)) IS NOT NULL")?.bool(0) ?? false
    }

    private func exchange() throws(SQLError) -> Answer? {
        do throws(Failure) { return try link.exchange() } catch { throw keep(error) }
    }

    private func keep(_ failure: Failure) -> SQLError {
        self.failure = self.failure ?? failure
        return failure.error
    }
}

// The transaction around the bodies; for the threads that run them.
extension Session {
    func begin() throws(SQLError) {
        do throws(Failure) { try link.dropForgotten() } catch { throw keep(error) }
        try send("BEGIN")
    }

    /// Learns what became of the statements that were only sent. Failures are kept in `failure`.
    func settle() {
        guard failure == nil, link.owesAnswers else { return }
        _ = try? exchange()
    }

    /// - Throws: where it was not committed, or nobody knows whether it was.
    func commit() throws(SQLError) {
        try send("COMMIT")
        guard let answer = try exchange(), answer.tag == "COMMIT" else {
            throw keep(Failure(SQLError(.failure, "the transaction was rolled back at its commit")))
        }
    }

    /// Takes everything back. A connection on which that fails is lost.
    func rollBack() { restart(with: ["ROLLBACK"]) }

    /// Begins a part that can be taken back alone.
    func beginJob() throws(SQLError) { try send("SAVEPOINT job") }

    func endJob() throws(SQLError) { try send("RELEASE SAVEPOINT job") }

    func rollBackJob() { restart(with: ["ROLLBACK TO SAVEPOINT job", "RELEASE SAVEPOINT job"]) }

    private func restart(with statements: [SQLStatement]) {
        guard !link.isLost else { return }
        // What was sent before is still owed; its failure is known, or does not matter any more.
        if link.owesAnswers { _ = try? link.exchange() }
        failure = nil
        do throws(SQLError) {
            for statement in statements { try send(statement) }
            _ = try exchange()
        } catch {}
    }
}
