// Small services of the composition root: the database's end, the client's end, and the record of uses.

import Gate
import Logging
import People
import SMTPClient
import SQL
import ServiceLifecycle
import WebClient

/// Closes the database after everything else has stopped: it stands first in the group, and groups stop from the end.
struct DatabaseService: Service {
    let database: any SQLDatabase

    func run() async throws {
        try? await gracefulShutdown()
        await database.close()
    }
}

struct SMTPClientService: Service {
    let pool: SMTPClientPool

    func run() async throws {
        try? await gracefulShutdown()
        await pool.shutdown()
    }
}

struct WebClientService: Service {
    let client: WebClient

    func run() async throws {
        try? await gracefulShutdown()
        await client.shutdown()
    }
}

/// Writes down once a minute, and at the end, when keys, logins and sessions were last used.
struct UseRecorder: Service {
    let authenticator: Authenticator
    let sessions: SessionKeeper
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(60))
                await record()
            }
        }
    }

    private func record() async {
        do {
            try await authenticator.flushUses()
            try await sessions.flushUses()
        } catch {
            logger.warning("uses could not be written down", metadata: ["error": "\(error)"])
        }
    }
}
