// Follows one chain of the audit log from record to record and says where it is broken.

import Model
import Store

/// Fed with the records in the order of their numbers; holds none of them.
struct ChainWalk {
    private(set) var report: AuditReport
    /// Where the chain has come to; without a digest where a gap hides it.
    private var last: (sequence: Int64, digest: [UInt8]?)
    /// What has to be found on the way, in order.
    private var marks: [(link: AuditChain.Link, broken: AuditFinding.Kind, says: String)]

    init(chain: String, after start: AuditChain.Link = .start) {
        report = AuditReport(chain: chain)
        report.end = start
        report.floor = start.sequence
        last = (start.sequence, start.digest)
        marks = []
    }

    /// Whether a record has been wrong so far.
    var isIntact: Bool { report.isIntact }
    /// Where it has come to, if all has been right.
    var end: AuditChain.Link { report.end }

    /// Places that the chain has to have gone through.
    mutating func expect(_ seals: [AuditSeal]) {
        for seal in seals {
            marks.append(
                (
                    seal.link, .rewritten,
                    "was sealed at \(seal.at) with another digest: the chain up to it was written anew"
                ))
        }
        sortMarks()
    }

    mutating func expect(_ anchors: [AuditAnchor]) {
        for anchor in anchors { marks.append((anchor.link, .anchor, "has another digest than the anchor")) }
        sortMarks()
    }

    private mutating func sortMarks() { marks.sort { $0.link.sequence > $1.link.sequence } }

    mutating func find(_ kind: AuditFinding.Kind, _ sequence: Int64?, _ detail: String) {
        report.find(kind, sequence, detail)
    }

    mutating func take(_ found: FoundAuditRecord) {
        report.records += 1
        let sequence = found.sequence
        guard sequence > last.sequence else {
            report.find(
                .repeated, sequence,
                sequence <= report.floor
                    ? "record \(sequence) stands before the beginning of the chain, which is \(report.floor + 1)"
                    : "there are two records \(sequence)")
            return
        }
        if sequence > last.sequence + 1 { miss(last.sequence + 1, through: sequence - 1) }
        check(found)
        last = (sequence, found.digest)
        if let link = found.link { report.end = link }
        pass(sequence, found.digest)
    }

    private mutating func miss(_ first: Int64, through final: Int64) {
        let count = final - first + 1
        report.find(
            .missing, first, count == 1 ? "record \(first) is missing" : "records \(first) to \(final) are missing")
        // Nobody can tell what the next record follows.
        last = (final, nil)
        while let mark = marks.last, mark.link.sequence <= final { marks.removeLast() }
    }

    private mutating func check(_ found: FoundAuditRecord) {
        guard let record = found.record else {
            report.find(
                .unreadable, found.sequence, "record \(found.sequence) has a column of a wrong kind, or no digest")
            return
        }
        let expected = report.chain == AuditChain.instance ? nil : report.chain
        if let previous = last.digest, !record.isGenuine(after: previous) {
            if found.vault != expected {
                report.find(.foreign, record.sequence, "record \(record.sequence) was written for another chain")
            } else {
                report.find(
                    .changed, record.sequence,
                    "record \(record.sequence) is not as it was written, or the digest of the one before it is not")
            }
        } else if found.vault != expected {
            report.find(.foreign, record.sequence, "record \(record.sequence) names another vault than its chain's")
        }
    }

    private mutating func pass(_ sequence: Int64, _ digest: [UInt8]?) {
        while let mark = marks.last, mark.link.sequence <= sequence {
            marks.removeLast()
            guard mark.link.sequence == sequence, mark.link.digest != digest else { continue }
            report.find(mark.broken, sequence, "record \(sequence) \(mark.says)")
        }
    }

    /// No more records will come.
    /// - Parameter head: what the chain's own row says of its end; `nil` where there is none.
    mutating func finish(head: AuditChain.Link?) {
        let end = last.sequence
        if let head {
            if head.sequence > end {
                report.find(
                    .missing, end + 1,
                    head.sequence == end + 1
                        ? "record \(head.sequence), the last, is missing"
                        : "records \(end + 1) to \(head.sequence), the last, are missing")
            } else if head.sequence < end {
                report.find(
                    .head, head.sequence + 1, "records \(head.sequence + 1) to \(end) stand after the end of the chain")
            } else if head.digest != last.digest {
                report.find(.head, end, "the chain's head has another digest than record \(end), the last")
            }
        } else if report.records > 0 {
            report.find(.head, nil, "the chain's head was taken away")
        }
        for mark in marks.reversed() where mark.link.sequence > end {
            let sequence = mark.link.sequence
            switch mark.broken {
            case .anchor:
                report.find(.anchor, sequence, "the anchor is of record \(sequence), and the chain ends at \(end)")
            default:
                report.find(.cut, sequence, "the chain was sealed up to record \(sequence) and ends at \(end)")
            }
        }
        marks = []
    }
}
