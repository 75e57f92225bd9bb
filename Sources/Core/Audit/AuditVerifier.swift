// Goes through whole chains of the audit log and says whether they are as they were written.

package import Model
package import SQL
import Store
import Synchronization

package struct AuditVerifier: Sendable {
    /// Records read at once.
    private static let batch = 2_000
    /// Seconds after which every record has its seal: the server makes them every few seconds.
    static let sealingTime: Double = 3_600

    private let database: any SQLDatabase
    private let key: AuditSealKey?
    private let clock: any WallClock

    /// - Parameter key: without it the seals cannot be checked; where there are any, that is a finding.
    package init(database: any SQLDatabase, key: AuditSealKey?, clock: any WallClock) {
        self.database = database
        self.key = key
        self.clock = clock
    }

    /// All chains.
    /// - Parameter anchors: of any chain; without a name, of the instance's.
    package func all(anchors: [AuditAnchor] = []) async throws -> [AuditReport] {
        try await verify(nil, anchors)
    }

    /// One chain: a vault's, or the instance's.
    package func chain(of vault: VaultID?, anchors: [AuditAnchor] = []) async throws -> AuditReport {
        let name = AuditChain.name(of: vault)
        let anchors = anchors.map { AuditAnchor(chain: name, link: $0.link) }
        return try await verify([name], anchors).first ?? AuditReport(chain: name)
    }

    /// In one read: the log grows and its oldest part is taken away while we look.
    private func verify(_ names: [String]?, _ anchors: [AuditAnchor]) async throws -> [AuditReport] {
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await database.read { [key, now = clock.now()] connection in
                var reports: [AuditReport] = []
                let purged = try connection.purgedAuditChains()
                for chain in try names ?? connection.auditChains() {
                    let anchors = anchors.filter { ($0.chain ?? AuditChain.instance) == chain }
                    if purged.contains(chain) {
                        var report = AuditReport(chain: chain)
                        report.isPurged = true
                        reports.append(report)
                    } else {
                        reports.append(try Self.verify(chain, anchors, key, now, connection, isCancelled))
                    }
                }
                try Self.verifySeals(key, connection, &reports, only: names)
                if names == nil { Self.missing(anchors, &reports) }
                return reports
            }
        } onCancel: {
            isCancelled.raise()
        }
    }

    private static func verify(
        _ chain: String,
        _ anchors: [AuditAnchor],
        _ key: AuditSealKey?,
        _ now: Timestamp,
        _ connection: any SQLConnection,
        _ isCancelled: Flag
    ) throws -> AuditReport {
        let seals = try connection.auditSeals(of: chain)
        let floor = seals.last { $0.kind == .floor }
        var walk = ChainWalk(chain: chain, after: floor?.link ?? .start)
        let genuine = key.map { key in seals.filter(key.isGenuine) } ?? []
        if key != nil {
            for seal in seals where !genuine.contains(seal) {
                walk.find(.forged, seal.link.sequence, "the seal of record \(seal.link.sequence) is not the server's")
            }
        }
        let heads = genuine.filter { $0.kind == .head }
        walk.expect(heads.filter { $0.link.sequence > walk.report.floor })
        expect(anchors, floor, &walk)
        let sealed = heads.last?.link.sequence ?? floor.map(\.link.sequence)
        var firstUnsealed: Timestamp?
        var next = Int64.min
        while true {
            if isCancelled.isRaised { throw CancellationError() }
            let found = try connection.auditRecords(of: chain, after: next, limit: batch)
            for record in found {
                walk.take(record)
                if firstUnsealed == nil, record.sequence > sealed ?? 0, let at = record.record?.fields.at {
                    firstUnsealed = Timestamp(milliseconds: at)
                }
            }
            guard let last = found.last, found.count == batch else { break }
            next = last.sequence
        }
        walk.finish(head: try connection.auditHead(of: chain))
        for id in try connection.strayAuditRecords(of: chain, limit: AuditReport.shownFindings) {
            walk.find(.stray, nil, "record \(id) has no number")
        }
        if key != nil, let firstUnsealed, firstUnsealed.adding(seconds: sealingTime) < now {
            walk.find(
                .unsealed, (sealed ?? 0) + 1,
                "the records from \((sealed ?? 0) + 1) on have no seal, and should have since \(firstUnsealed); "
                    + "right after an upgrade, or while the server was down, that is so until it has run for a while")
        }
        var report = walk.report
        report.sealed = key == nil ? nil : heads.last?.link.sequence
        return report
    }

    /// An anchor of what has been taken away can be held against the floor at most.
    private static func expect(_ anchors: [AuditAnchor], _ floor: AuditSeal?, _ walk: inout ChainWalk) {
        walk.expect(anchors.filter { $0.link.sequence > walk.report.floor })
        for anchor in anchors where anchor.link.sequence <= walk.report.floor {
            let sequence = anchor.link.sequence
            if sequence < walk.report.floor {
                walk.find(
                    .anchor, sequence,
                    "record \(sequence) was taken away when its time was over: it cannot be held against an anchor")
            } else if floor?.link.digest != anchor.link.digest {
                walk.find(
                    .anchor, sequence,
                    "record \(sequence), the last that was taken away, had another digest than the anchor")
            }
        }
    }

    /// The seal over all seals is of the instance's chain, or of the only one that is asked about.
    private static func verifySeals(
        _ key: AuditSealKey?, _ connection: any SQLConnection, _ reports: inout [AuditReport], only names: [String]?
    ) throws {
        let (newest, roster) = (try connection.newestAuditSeals(), try connection.auditRoster())
        let problem: String?
        if let key {
            problem = key.problem(with: newest, under: roster)
        } else {
            let isSealed = !newest.isEmpty || roster != nil
            problem =
                isSealed ? "there are seals, and the key that they were made with is not there to check them" : nil
        }
        guard let problem else { return }
        if reports.isEmpty { reports.append(AuditReport(chain: AuditChain.instance)) }
        let index = names == nil ? reports.firstIndex { $0.chain == AuditChain.instance } ?? 0 : 0
        reports[index].find(.unsealed, nil, problem)
    }

    private static func missing(_ anchors: [AuditAnchor], _ reports: inout [AuditReport]) {
        for anchor in anchors {
            let chain = anchor.chain ?? AuditChain.instance
            guard !reports.contains(where: { $0.chain == chain && !$0.isPurged }) else { continue }
            var report = AuditReport(chain: chain)
            report.find(.anchor, anchor.link.sequence, "there is no such chain any more")
            reports.append(report)
        }
    }
}

/// Raised from outside while a read is at work.
private final class Flag: Sendable {
    private let state = Atomic(false)

    var isRaised: Bool { state.load(ordering: .relaxed) }
    func raise() { state.store(true, ordering: .relaxed) }
}
