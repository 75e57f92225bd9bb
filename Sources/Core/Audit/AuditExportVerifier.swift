// Checks an export of the audit log where there is no database: each line for itself, and all of them as one piece of a chain.

import Store

/// Fed with the lines in any order; holds a number a line, and the places where neighbours have not been seen yet.
package struct AuditExportVerifier: Sendable {
    private let isFiltered: Bool
    private let anchors: [AuditAnchor]
    private var reports: [String: AuditReport] = [:]
    private var chains: [String: Neighbours] = [:]
    /// Which of the anchors.
    private var met: Set<Int> = []
    private var lines = 0

    /// - Parameters:
    ///   - isFiltered: the export has gaps, because it was made with a filter.
    ///   - anchors: that the export has to hold; without a chain, of whichever it is of.
    package init(isFiltered: Bool = false, anchors: [AuditAnchor] = []) {
        self.isFiltered = isFiltered
        self.anchors = anchors
    }

    package mutating func take(line: some Collection<UInt8>) {
        guard !line.isEmpty else { return }
        lines += 1
        guard let (record, previous) = AuditDocument.record(line) else {
            return find(.unreadable, "export", nil, "line \(lines) is no record of an export")
        }
        let (chain, sequence) = (record.chain, record.sequence)
        var report = reports[chain] ?? AuditReport(chain: chain)
        report.records += 1
        if report.records == 1 || sequence <= report.floor { report.floor = sequence - 1 }
        if sequence > report.end.sequence { report.end = record.link }
        reports[chain] = report
        if let previous {
            if !record.isGenuine(orWithNullsAfter: previous) {
                find(.changed, chain, sequence, "record \(sequence) is not as it was written")
            }
        } else {
            find(.missing, chain, sequence, "record \(sequence) does not say what it follows")
        }
        if sequence == 1, previous != AuditChain.genesis {
            find(.changed, chain, 1, "record 1 follows something")
        }
        for problem in chains[chain, default: Neighbours()].meet(sequence, previous, record.digest) {
            find(problem.kind, chain, sequence, problem.detail)
        }
        for (index, anchor) in anchors.enumerated()
        where anchor.link.sequence == sequence && (anchor.chain ?? chain) == chain {
            met.insert(index)
            if anchor.link.digest != record.digest {
                find(.anchor, chain, sequence, "record \(sequence) has another digest than the anchor")
            }
        }
    }

    /// - Returns: one report for each chain that the export holds records of.
    package mutating func finish() -> [AuditReport] {
        for (chain, neighbours) in chains where !isFiltered {
            for gap in neighbours.gaps {
                find(
                    .missing, chain, gap.lowerBound,
                    gap.count == 1
                        ? "record \(gap.lowerBound) is missing"
                        : "records \(gap.lowerBound) to \(gap.upperBound) are missing")
            }
        }
        for (index, anchor) in anchors.enumerated() where !met.contains(index) {
            find(
                .anchor, anchor.chain ?? "export", anchor.link.sequence,
                "record \(anchor.link.sequence), of which there is an anchor, is not in the export")
        }
        return reports.values.sorted { $0.chain < $1.chain }
    }

    private mutating func find(_ kind: AuditFinding.Kind, _ chain: String, _ sequence: Int64?, _ detail: String) {
        reports[chain, default: AuditReport(chain: chain)].find(kind, sequence, detail)
    }
}

/// Pieces of a chain that grow together while their records come in.
private struct Neighbours {
    /// From the first record of a piece to its last.
    private var byStart: [Int64: Int64] = [:]
    private var byEnd: [Int64: Int64] = [:]
    private var numbers: Set<Int64> = []
    /// Digests at the ends of pieces: what the record before must have had, and what the last has.
    private var before: [Int64: [UInt8]] = [:]
    private var after: [Int64: [UInt8]] = [:]

    mutating func meet(
        _ sequence: Int64, _ previous: [UInt8]?, _ digest: [UInt8]
    ) -> [(kind: AuditFinding.Kind, detail: String)] {
        guard numbers.insert(sequence).inserted else {
            return [(.repeated, "there are two records \(sequence)")]
        }
        var problems: [(kind: AuditFinding.Kind, detail: String)] = []
        var (first, last) = (sequence, sequence)
        before[sequence] = previous
        after[sequence] = digest
        if let start = byEnd[sequence - 1] {
            if let previous, previous != after[sequence - 1] {
                problems.append((.changed, "record \(sequence) does not follow record \(sequence - 1)"))
            }
            (byEnd[sequence - 1], after[sequence - 1], before[sequence]) = (nil, nil, nil)
            first = start
        }
        if let end = byStart[sequence + 1] {
            if let expected = before[sequence + 1], expected != digest {
                problems.append((.changed, "record \(sequence + 1) does not follow record \(sequence)"))
            }
            (byStart[sequence + 1], before[sequence + 1], after[sequence]) = (nil, nil, nil)
            last = end
        }
        byStart[first] = last
        byEnd[last] = first
        return problems
    }

    /// What lies between the pieces.
    var gaps: [ClosedRange<Int64>] {
        let pieces = byStart.sorted { $0.key < $1.key }
        return zip(pieces, pieces.dropFirst()).map { $0.value + 1...$1.key - 1 }
    }
}

extension AuditRecord {
    /// An export cannot tell a missing value from a JSON null, which early records may hold.
    fileprivate func isGenuine(orWithNullsAfter previous: [UInt8]) -> Bool {
        if isGenuine(after: previous) { return true }
        let nothing: [String?] = ["null", nil]
        for before in fields.before == nil ? nothing : [fields.before] {
            for after in fields.after == nil ? nothing : [fields.after] {
                let record = AuditRecord(
                    chain: chain, sequence: sequence, fields: fields.with(before: before, after: after), digest: digest)
                if record.isGenuine(after: previous) { return true }
            }
        }
        return false
    }
}
