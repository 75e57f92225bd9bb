// What verification came to, as JSON and as lines for people.

package import JSON
package import Model
import Store

package struct AuditVerdict: Sendable {
    package let reports: [AuditReport]
    package let at: Timestamp

    package init(_ reports: [AuditReport], at time: Timestamp) {
        self.reports = reports
        at = time
    }

    package var isIntact: Bool { reports.allSatisfy(\.isIntact) }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("intact", isIntact)
            writer.member("checked_at", at.description)
            writer.name("chains")
            writer.array { writer in
                for report in reports { report.write(to: &writer) }
            }
        }
    }

    /// One line a chain, and one a finding.
    package var lines: [String] {
        var lines: [String] = []
        for report in reports {
            lines.append(report.summary)
            lines += report.findings.map { "  \($0.kind.rawValue): \($0.detail)" }
            let more = report.findingCount - report.findings.count
            if more > 0 { lines.append("  and \(more) more") }
        }
        lines.append(isIntact ? "The audit log is as it was written." : "THE AUDIT LOG IS NOT AS IT WAS WRITTEN.")
        return lines
    }
}

extension AuditReport {
    fileprivate var summary: String {
        if isPurged { return "\(chain): its vault was deleted" }
        guard records > 0 else { return "\(chain): no records\(isIntact ? "" : ", and should have")" }
        let sealed = sealed.map { ", sealed up to \($0)" } ?? ""
        return
            "\(chain): \(isIntact ? "intact" : "ALTERED"), \(records) records, \(floor + 1) to \(end.sequence)\(sealed); anchor "
            + "\(AuditAnchor(chain: chain, link: end))"
    }

    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("chain", chain)
            writer.member("state", isPurged ? "purged" : isIntact ? "intact" : "altered")
            writer.member("records", Int(records))
            writer.member("first", records > 0 ? .integer(floor + 1) : .null)
            writer.member("last", records > 0 ? .integer(end.sequence) : .null)
            writer.member("digest", records > 0 ? end.digest.hex : nil)
            writer.member("sealed", sealed.map(JSONValue.integer) ?? .null)
            writer.member("finding_count", findingCount)
            writer.name("findings")
            writer.array { writer in
                for finding in findings {
                    writer.object { writer in
                        writer.member("kind", finding.kind.rawValue)
                        writer.member("sequence", finding.sequence.map(JSONValue.integer) ?? .null)
                        writer.member("detail", finding.detail)
                    }
                }
            }
        }
    }
}
