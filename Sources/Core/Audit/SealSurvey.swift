// What is to be sealed: for each chain the records since its last seal, gone through one by one.

import Model
import SQL
import Store

struct SealSurvey: Sendable {
    /// Seals of a chain that are kept beside the newest: one a day.
    static let kept = 31
    /// Records looked at in one round; a longer rest waits for the next.
    private static let limit = 100_000
    private static let batch = 2_000

    /// Where chains have come to, and are in order.
    private(set) var ends: [(chain: String, link: AuditChain.Link)] = []
    /// Chains of deleted vaults of which nothing is left but their seals.
    private(set) var over: [String] = []
    private(set) var findings: [AuditFinding] = []
    let roster: AuditSeal?
    /// Whether the seals themselves are as they were made.
    let isSealable: Bool

    init(_ connection: any SQLConnection, _ key: AuditSealKey) throws {
        let newest = try connection.newestAuditSeals()
        roster = try connection.auditRoster()
        let problem = key.problem(with: newest, under: roster)
        isSealable = problem == nil
        if let problem { findings.append(AuditFinding(.unsealed, chain: AuditChain.instance, sequence: nil, problem)) }
        let heads = try connection.auditHeads()
        let purged = try connection.purgedAuditChains()
        var room = Self.limit
        for chain in Set(heads.keys).union(newest.map(\.chain)).sorted() {
            let seals = newest.filter { $0.chain == chain }
            if purged.contains(chain) {
                if !seals.isEmpty, try connection.isPurgeOver(of: chain) { over.append(chain) }
                continue
            }
            guard seals.allSatisfy(key.isGenuine) else {
                findings.append(AuditFinding(.forged, chain: chain, sequence: nil, "a seal is not the server's"))
                continue
            }
            try look(at: chain, seals, heads[chain], connection, &room)
        }
    }

    private mutating func look(
        at chain: String, _ seals: [AuditSeal], _ head: AuditChain.Link?, _ connection: any SQLConnection,
        _ room: inout Int
    ) throws {
        let floor = seals.first { $0.kind == .floor }?.link ?? .start
        let sealed = seals.first { $0.kind == .head }?.link ?? floor
        if head == sealed { return }
        var walk = ChainWalk(chain: chain, after: sealed)
        // The sealed record itself, where it is still there.
        if sealed.sequence > floor.sequence {
            let last = try connection.auditRecords(of: chain, after: sealed.sequence - 1, limit: 1).first
            if last?.sequence != sealed.sequence || last?.digest != sealed.digest {
                findings.append(
                    AuditFinding(
                        last == nil ? .cut : .rewritten, chain: chain, sequence: sealed.sequence,
                        "record \(sealed.sequence), which was sealed, is not there as it was"))
                return
            }
        }
        var isWhole = false
        while room > 0, !isWhole {
            let found = try connection.auditRecords(of: chain, after: walk.end.sequence, limit: min(Self.batch, room))
            for record in found { walk.take(record) }
            room -= found.count
            isWhole = found.count < min(Self.batch, room + found.count)
            guard walk.isIntact else { break }
        }
        if isWhole { walk.finish(head: head) }
        if head == nil, isWhole, walk.isIntact { walk.find(.head, nil, "the chain's head was taken away") }
        findings += walk.report.findings
        if walk.isIntact, walk.end.sequence > sealed.sequence { ends.append((chain, walk.end)) }
    }
}
