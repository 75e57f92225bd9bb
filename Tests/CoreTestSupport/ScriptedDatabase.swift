// A database that fails or waits where a test says so, in front of a real one.

package import SQL
import Synchronization

package final class ScriptedDatabase: SQLDatabase {
    private struct Script {
        var failingWrites: [SQLError] = []
        var writes = 0
        var afterRead: (@Sendable () async -> Void)?
    }

    private let real: any SQLDatabase
    private let script = Mutex(Script())

    package init(_ real: any SQLDatabase) { self.real = real }

    /// The next writes fail with these errors, one each, before they reach the real database.
    package func failNextWrites(_ errors: [SQLError]) { script.withLock { $0.failingWrites += errors } }

    /// Writes that were asked for, the failed ones included.
    package var writeCount: Int { script.withLock { $0.writes } }

    /// Runs once, between the end of the next read and its answer: what another task does in that moment.
    package func afterNextRead(_ action: @escaping @Sendable () async -> Void) {
        script.withLock { $0.afterRead = action }
    }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let value = try await real.read(body)
        let action = script.withLock { script in
            defer { script.afterRead = nil }
            return script.afterRead
        }
        await action?()
        return value
    }

    @discardableResult
    package func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let failure = script.withLock { script in
            script.writes += 1
            return script.failingWrites.isEmpty ? nil : script.failingWrites.removeFirst()
        }
        if let failure { throw failure }
        return try await real.write(cost: cost, body)
    }

    package func announce(_ topic: String) { real.announce(topic) }

    package func announcements() -> AsyncStream<String> { real.announcements() }

    package var isShared: Bool { real.isShared }

    package var name: String { real.name }

    package func close() async { await real.close() }
}
