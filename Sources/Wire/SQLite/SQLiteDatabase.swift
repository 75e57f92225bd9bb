// The embedded engine: GRDB's pool in WAL mode, one writer thread that commits for everyone at once.

import CSQLiteShims
import Dispatch
import GRDB
package import SQL
import Synchronization

/// SQLite with `synchronous=FULL`: a commit that returned survives a power cut.
package final class SQLiteDatabase: SQLDatabase {
    private let pool: DatabasePool
    private let queue = WriteQueue()
    private let board = AnnouncementBoard()
    private let wakeUp = DispatchSemaphore(value: 0)
    private let isFolded = Atomic(false)
    private let closing = Mutex<(isFinished: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

    /// Opens the database file, or makes it.
    /// - Throws: `SQLError` when it cannot be opened.
    package init(path: String) throws(SQLError) {
        postern_sqlite_disable_memory_statistics()
        var configuration = Configuration()
        configuration.label = "postern.sqlite"
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { database in
            // Room for the upper levels of every index; the kernel's cache holds the rest.
            try database.execute(sql: "PRAGMA cache_size = -16000")
            // A longer log writes hot pages back less often, and stalls fewer commits; 64 MiB.
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 16000")
            // Debian builds SQLite with secure_delete on, which writes each freed page once more.
            try database.execute(sql: "PRAGMA secure_delete = OFF")
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
        }
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // Not in `prepareDatabase`: GRDB sets NORMAL after it, with which a power cut takes the last commits back.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        } catch {
            throw SQLError(sqlite: error)
        }
        startWriter()
    }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        do {
            return try await pool.read { database in try body(SQLiteConnection(database: database)) }
        } catch let error as DatabaseError {
            throw SQLError(sqlite: error)
        }
    }

    @discardableResult
    package func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { caller in
            let job = WriteJob(body, caller)
            do throws(SQLError) {
                if try queue.add(job, cost: cost) { wakeUp.signal() }
            } catch {
                job.refuse(error)
            }
        }
    }

    /// A file is one process's: whoever may listen is in it.
    package func announce(_ topic: String) { board.publish(topic) }

    package func announcements() -> AsyncStream<String> { board.listen() }

    package var isShared: Bool { false }

    package var name: String { "SQLite" }

    package func close() async {
        queue.close()
        board.close()
        wakeUp.signal()
        await withCheckedContinuation { continuation in
            let isFinished = closing.withLock { state in
                if !state.isFinished { state.waiting.append(continuation) }
                return state.isFinished
            }
            if isFinished { continuation.resume() }
        }
        guard isFolded.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return }
        // Closing would leave the write-ahead log as it is: the pool's readers end last, and they may not write.
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            pool.asyncWriteWithoutTransaction { connection in
                _ = try? connection.checkpoint(.truncate)
                done.resume()
            }
        }
        try? pool.close()
    }
}

extension SQLiteDatabase {
    /// The writer has a thread of its own: it blocks in fsync, which neither an event loop nor Swift's pool may do.
    private func startWriter() {
        DispatchQueue(label: "postern.sqlite.writer", qos: .userInitiated).async { [self] in
            while let batch = queue.take() {
                if batch.isEmpty { wakeUp.wait() } else { commit(batch) }
            }
            let waiting = closing.withLock { state in
                state.isFinished = true
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// One transaction for the batch; nobody is answered before its end is known.
    ///
    /// Almost always every job succeeds, so the first try does without savepoints, two statements a job. Where one fails, the
    /// transaction is taken back and run again with a savepoint for each job, so that it takes back its own changes only.
    private func commit(_ batch: [WriteJob]) {
        var outcomes: [WriteJob.Outcome] = []
        outcomes.reserveCapacity(batch.count)
        var commitError: SQLError?
        do {
            if try !transaction(batch, isolated: batch.count == 1, &outcomes) {
                outcomes.removeAll(keepingCapacity: true)
                _ = try transaction(batch, isolated: true, &outcomes)
            }
        } catch {
            commitError = error as? SQLError ?? SQLError(sqlite: error)
        }
        for outcome in outcomes { outcome.finish(commitError) }
        // The batch may end before its last jobs: they did nothing, and learn why.
        for job in batch.dropFirst(outcomes.count) {
            job.refuse(commitError ?? SQLError(.failure, "the transaction ended early"))
        }
    }

    /// - Returns: whether it was committed; not so when a job failed and the jobs are not isolated.
    private func transaction(
        _ batch: [WriteJob],
        isolated: Bool,
        _ outcomes: inout [WriteJob.Outcome]
    ) throws -> Bool {
        try pool.writeWithoutTransaction { database in
            let connection = SQLiteConnection(database: database)
            do {
                try connection.execute("BEGIN IMMEDIATE")
                for job in batch {
                    if isolated { try connection.execute("SAVEPOINT job") }
                    let outcome = job.run(connection)
                    outcomes.append(outcome)
                    guard isolated || outcome.succeeded else {
                        try connection.execute("ROLLBACK")
                        return false
                    }
                    if !outcome.succeeded { try connection.execute("ROLLBACK TO job") }
                    if isolated { try connection.execute("RELEASE job") }
                }
                try connection.execute("COMMIT")
                return true
            } catch {
                // A full disk ends the transaction by itself; otherwise it is ours to end.
                if database.isInsideTransaction { _ = try? connection.execute("ROLLBACK") }
                throw error
            }
        }
    }
}
