// Deletes what sign-ins leave behind: sessions that are over, links that nobody used, counts of attempts.

package import Logging
import Model
import SQL
import ServiceLifecycle
import Store

/// Any process may do it at any time; two at once pass over each other's rows.
package struct SessionSweep: Service {
    /// Seconds between rounds.
    private static let interval = 600.0
    /// Seconds for which what is over can still be asked for: a refresh token that comes too late has ended its session.
    private static let grace = 86_400.0
    /// Rows of one transaction.
    private static let batch = 500

    private let sessions: SessionKeeper
    private let logger: Logger

    package init(sessions: SessionKeeper, logger: Logger = Logger(label: "postern.people")) {
        self.sessions = sessions
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await round()
                } catch {
                    logger.warning("old sessions could not be deleted", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(Self.interval))
            }
        }
    }

    /// - Returns: how many rows went.
    @discardableResult
    package func round() async throws -> Int {
        let now = sessions.clock.now()
        let past = now.adding(seconds: -Self.grace)
        let windowEnd = now.adding(seconds: -Double(sessions.configuration.attemptWindow))
        let tokens = OneTimeTokenRepository(database: sessions.database)
        return try await drain { try await sessions.repository.deleteEnded(before: past, limit: Self.batch) }
            + drain { try await tokens.delete(before: past, limit: Self.batch) }
            + drain {
                try await sessions.check.attempts.delete(
                    before: windowEnd, limit: Self.batch, tally: sessions.records.tally)
            }
    }

    private func drain(_ batch: () async throws -> Int) async throws -> Int {
        var total = 0
        while !Task.isCancelled {
            let deleted = try await batch()
            total += deleted
            if deleted < Self.batch { break }
        }
        return total
    }
}
