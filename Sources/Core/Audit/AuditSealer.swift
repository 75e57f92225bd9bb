// Seals the ends of the audit log's chains every few seconds, and tells whether the log is as it was written. What it finds
// altered it does not seal: the last good seal stays as a witness.

package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store
import Synchronization

package final class AuditSealer: Service {
    private struct State {
        /// When the whole log was last gone through, and what came of it.
        var full: (at: Timestamp, isIntact: Bool)?
        var anchoredOn: Int64?
        var saidAloud: [AuditFinding] = []
    }

    private let database: any SQLDatabase
    private let key: AuditSealKey
    private let ids: IdentifierGenerator
    private let clock: any WallClock
    private let holdsDuty: @Sendable () async throws -> Bool
    private let interval: Double
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - interval: seconds between two rounds: as long may a record be without a seal. Default 10.
    ///   - holdsDuty: whether this process is the one that seals.
    package init(
        database: any SQLDatabase, key: AuditSealKey, ids: IdentifierGenerator, clock: any WallClock,
        interval: Double = 10,
        holdsDuty: @escaping @Sendable () async throws -> Bool, logger: Logger
    ) {
        self.database = database
        self.key = key
        self.ids = ids
        self.clock = clock
        self.interval = interval
        self.holdsDuty = holdsDuty
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await attempt()
                try? await Task.sleep(for: .seconds(interval))
            }
        }
        // The last records get their seal now, and not at the next start.
        await attempt()
    }

    private func attempt() async {
        do {
            try await round()
        } catch {
            logger.error("the audit log could not be sealed", metadata: ["error": "\(error)"])
        }
    }

    /// One look at all chains, as long as this process has the duty.
    package func round() async throws {
        guard try await holdsDuty() else { return }
        let survey = try await survey()
        complain(survey.findings)
        if try await write(survey) { try await anchor() }
    }

    /// Seals what has been found in order.
    /// - Returns: false where another process did so meanwhile.
    private func write(_ survey: SealSurvey) async throws -> Bool {
        guard survey.isSealable else { return false }
        guard !survey.ends.isEmpty || !survey.over.isEmpty else { return true }
        let now = clock.now()
        return try await database.write { [key, ids] connection in
            let roster = try connection.auditRoster()
            guard roster == survey.roster else { return false }
            for (chain, link) in survey.ends {
                let seal = key.seal(link, of: chain, as: .head, at: now)
                try connection.insert(seal)
                try connection.thinAuditSeals(before: seal, keeping: SealSurvey.kept)
            }
            for chain in survey.over { try connection.dropAuditSeals(of: chain) }
            try connection.replaceAuditRoster(
                key.roster(over: try connection.newestAuditSeals(), after: roster, at: now))
            if roster == nil {
                // Happens once in the life of an instance: a second entry says that somebody took all the seals away.
                try connection.record(
                    AuditAct.seal.entry(
                        ids.next(), at: now, resource: "audit",
                        reason: "the audit log had no seals: from here on it has"),
                    in: nil)
            }
            return true
        }
    }

    private func survey() async throws -> SealSurvey {
        try await database.read { [key] connection in try SealSurvey(connection, key) }
    }

    /// Says once a day where the chains end, for whoever keeps the server's log where it cannot be altered.
    private func anchor() async throws {
        let day = clock.now().seconds / 86_400
        guard state.withLock({ $0.anchoredOn != day }) else { return }
        let seals = try await database.read { connection in try connection.newestAuditSeals() }
        let anchors = seals.filter { $0.kind == .head }.map { "\(AuditAnchor(chain: $0.chain, link: $0.link))" }
        for start in stride(from: 0, to: anchors.count, by: 50) {
            let part = anchors[start..<min(start + 50, anchors.count)].joined(separator: " ")
            logger.notice("audit anchors", metadata: ["anchors": "\(part)"])
        }
        if !anchors.isEmpty { state.withLock { $0.anchoredOn = day } }
    }

    private func complain(_ findings: [AuditFinding]) {
        let isNew = state.withLock { state in
            defer { state.saidAloud = findings }
            return state.saidAloud != findings
        }
        guard isNew else { return }
        for finding in findings.prefix(10) {
            logger.critical(
                "the audit log is not as it was written",
                metadata: [
                    "chain": "\(finding.chain)", "kind": "\(finding.kind.rawValue)", "detail": "\(finding.detail)",
                ])
        }
    }
}

extension AuditSealer {
    /// Whether the audit log is as it was written: the part since the last seals each time, all of it once a day.
    /// - Returns: `nil` where the database cannot be asked.
    package func isIntact() async -> Bool? {
        guard let survey = try? await survey() else { return nil }
        guard survey.findings.isEmpty else {
            complain(survey.findings)
            return false
        }
        let now = clock.now()
        let full = state.withLock { $0.full }
        if let full, now < full.at.adding(seconds: 86_400), now >= full.at { return full.isIntact }
        guard let reports = try? await AuditVerifier(database: database, key: key, clock: clock).all() else {
            return nil
        }
        // What has not been sealed in time is no sign of an alteration while the sealing itself goes on.
        let findings = reports.flatMap(\.findings).filter { $0.kind != .unsealed }
        complain(findings)
        state.withLock { $0.full = (now, findings.isEmpty) }
        return findings.isEmpty
    }
}
