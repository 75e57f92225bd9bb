// The engine for several processes: PostgreSQL through libpq, on threads of its own.

package import Logging
package import SQL

/// `synchronous_commit` is on: a commit that was answered is on the server's disk.
package final class PostgreSQLDatabase: SQLDatabase {
    private let readers: ReaderPool
    private let writers: WriterPool
    private let listener: Listener

    private init(_ dial: Dial) throws(SQLError) {
        readers = ReaderPool(dial)
        writers = WriterPool(dial)
        listener = Listener(dial)
        try writers.start()
    }

    /// Waits until the server takes connections, for a bounded time: it may be starting as well.
    /// - Throws: `SQLError`; at once where waiting cannot help (a wrong password, no such database, a certificate).
    package static func open(
        _ configuration: PostgreSQLConfiguration,
        logger: Logger
    ) async throws(SQLError) -> PostgreSQLDatabase {
        let dial = Dial(configuration, logger: logger)
        let refusal: SQLError? = await withCheckedContinuation { continuation in
            let isStarted = OwnThread.start { continuation.resume(returning: dial.knock()) }
            if !isStarted {
                continuation.resume(returning: SQLError(.unavailable, "the system has no thread to give"))
            }
        }
        if let refusal { throw refusal }
        return try PostgreSQLDatabase(dial)
    }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { caller in readers.add(WriteJob(body, caller)) }
    }

    @discardableResult
    package func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { caller in writers.add(WriteJob(body, caller), cost: cost) }
    }

    package func announce(_ topic: String) { listener.announce(topic) }

    package func announcements() -> AsyncStream<String> { listener.listen() }

    package var isShared: Bool { true }

    package var name: String { "PostgreSQL" }

    package func close() async {
        await listener.close()
        await writers.close()
        await readers.close()
    }
}

extension Dial {
    /// Tries until the server lets us in, says that it never will, or our patience ends.
    fileprivate func knock() -> SQLError? {
        let end = ContinuousClock.now.advanced(by: .seconds(configuration.limits.openTimeout))
        while true {
            do throws(Refusal) {
                _ = try connect(.writer)
                closed(.writer)
                return nil
            } catch {
                if error.isFinal { return error.error }
                let pause = pause
                if ContinuousClock.now.advanced(by: .seconds(pause)) >= end { return error.error }
                OwnThread.sleep(seconds: pause)
            }
        }
    }
}
