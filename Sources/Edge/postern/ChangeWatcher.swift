// Keeps what this process remembers of keys, logins and vaults true while other processes change them.

import Gate
import Logging
import Outbox
import People
import SQL
import ServiceLifecycle
import Store
import Vaults

/// Only for a database that several processes share. Announcements make it quick, the counters make it certain.
struct ChangeWatcher: Service {
    /// Seconds between two looks at the counters.
    private static let interval = 1.0

    let database: any SQLDatabase
    let authenticator: Authenticator
    let sessions: SessionKeeper
    let vaults: VaultDirectory
    let signal: OutboxSignal
    let logger: Logger

    func run() async throws {
        let counters = ChangeCounters(database: database)
        let looks = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await topic in database.announcements() {
                        if topic != Announcement.changes { signal.notify() }
                        if topic != Announcement.outbox { looks.continuation.yield() }
                    }
                }
                group.addTask {
                    while !Task.isCancelled {
                        looks.continuation.yield()
                        try? await Task.sleep(for: .seconds(Self.interval))
                    }
                    looks.continuation.finish()
                }
                var seen: [ChangeTopic: Int64]?
                for await _ in looks.stream {
                    do {
                        let now = try await counters.all()
                        if now != seen { try await forget(before: seen, now) }
                        seen = now
                    } catch {
                        // What cannot be checked is not trusted: the next look forgets everything.
                        seen = nil
                        logger.warning("changes by other processes cannot be seen", metadata: ["error": "\(error)"])
                    }
                }
                group.cancelAll()
            }
        }
    }

    private func forget(before: [ChangeTopic: Int64]?, _ now: [ChangeTopic: Int64]) async throws {
        if before?[.vaults] != now[.vaults] { vaults.invalidateAll() }
        if before?[.callers] != now[.callers] { try await authenticator.forgetAll() }
        if before?[.people] != now[.people] { try await sessions.forgetAll() }
    }
}
