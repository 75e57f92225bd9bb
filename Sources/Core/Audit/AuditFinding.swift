// What verification found wrong with a chain of the audit log, and where.

package import Store

package struct AuditFinding: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// A record, or the digest of the one before it, is not as it was written.
        case changed
        /// Numbers that have no record.
        case missing
        /// A number that has two records, or one that comes out of order.
        case repeated
        /// A record without a number.
        case stray
        /// A record of another chain.
        case foreign
        /// A record whose columns hold what is never written.
        case unreadable
        /// The chain's head says something else than its last record.
        case head
        /// The chain ends before a place that was sealed.
        case cut
        /// A sealed place has another digest now: the chain up to it was written anew.
        case rewritten
        /// A seal that the master key did not make.
        case forged
        /// Seals that are gone, or not there after the time in which they should have been made.
        case unsealed
        /// An anchor that the chain does not have.
        case anchor
    }

    package let kind: Kind
    package let chain: String
    /// The record, or the first of them; `nil` where the finding is not about one.
    package let sequence: Int64?
    package let detail: String

    package init(_ kind: Kind, chain: String, sequence: Int64?, _ detail: String) {
        self.kind = kind
        self.chain = chain
        self.sequence = sequence
        self.detail = detail
    }
}

/// What one chain came to.
package struct AuditReport: Sendable {
    package let chain: String
    /// Records that were looked at.
    package var records: Int64 = 0
    /// The record after which the chain begins, what was before it having been kept long enough.
    package var floor: Int64 = 0
    /// The last record that was found: keep it, and the chain can be held against it later.
    package var end: AuditChain.Link = .start
    /// The newest record under a genuine seal; `nil` where there is none, or no key to tell.
    package var sealed: Int64?
    /// The first ones.
    package var findings: [AuditFinding] = []
    /// All of them.
    package var findingCount = 0
    /// The vault was deleted, and its log with it.
    package var isPurged = false

    package static let shownFindings = 100

    package var isIntact: Bool { findingCount == 0 }

    mutating func find(_ kind: AuditFinding.Kind, _ sequence: Int64?, _ detail: String) {
        findingCount += 1
        guard findings.count < Self.shownFindings else { return }
        findings.append(AuditFinding(kind, chain: chain, sequence: sequence, detail))
    }
}

/// A place in a chain, as it is written down outside: `SEQUENCE:DIGEST`.
package struct AuditAnchor: Sendable, Equatable, CustomStringConvertible {
    /// `nil`: in the instance's chain.
    package let chain: String?
    package let link: AuditChain.Link

    package init(chain: String?, link: AuditChain.Link) {
        self.chain = chain
        self.link = link
    }

    /// Reads `12:9f86…` and `vlt_…=12:9f86…`, which is how the server's log writes it.
    package init?(_ text: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let place = parts[parts.count - 1].split(separator: ":", omittingEmptySubsequences: false)
        guard place.count == 2, let sequence = Int64(place[0]), sequence > 0, let digest = [UInt8](hex: place[1]),
            digest.count == 32, parts.count == 1 || !parts[0].isEmpty
        else { return nil }
        self.init(
            chain: parts.count == 2 ? String(parts[0]) : nil,
            link: AuditChain.Link(sequence: sequence, digest: digest))
    }

    package var description: String {
        (chain.map { "\($0)=" } ?? "") + "\(link.sequence):\(link.digest.hex)"
    }
}

extension [UInt8] {
    package var hex: String {
        let digits = Array<UInt8>("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    package init?(hex text: some StringProtocol) {
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in text.utf8 {
            guard let digit = Character(Unicode.Scalar(character)).hexDigitValue.map(UInt8.init) else { return nil }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard high == nil else { return nil }
        self = bytes
    }
}
