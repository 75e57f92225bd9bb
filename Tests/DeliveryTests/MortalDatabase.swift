// A process that dies, as the database sees it: it takes so many writes, and none after that.

import SQL
import Synchronization

final class MortalDatabase: SQLDatabase {
    private let real: any SQLDatabase
    private let left: Mutex<Int>

    init(_ real: any SQLDatabase, writes: Int) {
        self.real = real
        left = Mutex(writes)
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        try await real.read(body)
    }

    @discardableResult
    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let isAlive = left.withLock { left in
            left -= 1
            return left >= 0
        }
        guard isAlive else { throw SQLError(.unavailable, "this process is dead") }
        return try await real.write(cost: cost, body)
    }

    func announce(_ topic: String) { real.announce(topic) }

    func announcements() -> AsyncStream<String> { real.announcements() }

    var isShared: Bool { real.isShared }

    var name: String { real.name }

    func close() async { await real.close() }
}
