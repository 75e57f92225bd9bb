// Remembers the statements that pass through it, so that a test can ask the planner about each.

package import SQL
import Synchronization

package final class StatementRecorder: SQLDatabase {
    private let real: any SQLDatabase
    private let recorded = Mutex<[SQLStatement]>([])

    package init(_ real: any SQLDatabase) { self.real = real }

    /// The statements since the last call.
    package func take() -> [SQLStatement] {
        recorded.withLock { recorded in
            defer { recorded = [] }
            return recorded
        }
    }

    fileprivate func record(_ statement: SQLStatement) { recorded.withLock { $0.append(statement) } }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await real.read { [self] in try body(RecordingConnection(real: $0, recorder: self)) }
    }

    @discardableResult
    package func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await real.write(cost: cost) { [self] in try body(RecordingConnection(real: $0, recorder: self)) }
    }

    package func announce(_ topic: String) { real.announce(topic) }

    package func announcements() -> AsyncStream<String> { real.announcements() }

    package var isShared: Bool { real.isShared }

    package var name: String { real.name }

    package func close() async { await real.close() }
}

private struct RecordingConnection: SQLConnection {
    let real: any SQLConnection
    let recorder: StatementRecorder

    func execute(_ statement: SQLStatement) throws(SQLError) -> Int {
        recorder.record(statement)
        return try real.execute(statement)
    }

    func send(_ statement: SQLStatement) throws(SQLError) {
        recorder.record(statement)
        try real.send(statement)
    }

    func rows(_ statement: SQLStatement) throws(SQLError) -> [SQLRow] {
        recorder.record(statement)
        return try real.rows(statement)
    }

    func script(_ text: String) throws(SQLError) { try real.script(text) }

    func hasTable(_ name: String) throws(SQLError) -> Bool { try real.hasTable(name) }

    func columns(of table: String) throws(SQLError) -> [SQLColumn] { try real.columns(of: table) }
}
