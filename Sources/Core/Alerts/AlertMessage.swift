// What a channel brings at once: one notice, or a digest of many, so that nobody gets a hundred letters in one minute.

import JSON
import Model
import Sealing
import Store

package struct AlertMessage: Hashable, Sendable {
    /// At least one.
    package let notices: [AlertNotice]

    package init(_ notices: [AlertNotice]) {
        precondition(!notices.isEmpty, "a message tells of something")
        self.notices = notices
    }

    private var only: AlertNotice? { notices.count == 1 ? notices[0] : nil }

    /// The same for every repetition.
    package var key: String {
        if let only { return only.key }
        let digest = Digest.hexadecimal(Digest.sha256(notices.map(\.key).joined(separator: " ")))
        return "digest-\(digest.prefix(32))"
    }

    package var json: [UInt8] {
        if let only { return only.json }
        var writer = JSONWriter(capacity: 1024 * notices.count)
        writer.object { writer in
            writer.member("kind", "digest")
            writer.member("instance", notices[0].instance)
            writer.member("at", notices.map(\.at).max()?.description)
            writer.member("count", notices.count)
            writer.name("alerts")
            writer.array { writer in
                for notice in notices { notice.write(to: &writer) }
            }
        }
        return writer.bytes
    }

    /// The subject of a letter.
    package var heading: String {
        if let only { return only.heading }
        let open = Set(notices.filter(\.alert.isOpen).map(\.alert.id)).count
        let over = Set(notices.filter { !$0.alert.isOpen }.map(\.alert.id)).count
        let parts = [(open, "open"), (over, "over")].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return "Postern \(notices[0].instance): \(notices.count) notices of alerts (\(parts.joined(separator: ", ")))"
    }

    /// The text of a letter.
    package var text: String {
        if let only { return only.text }
        var lines = ["Much happened at once, so this is one letter about all of it.", ""]
        for notice in notices {
            lines += [
                "* \(notice.at)  \(notice.alert.severity.rawValue)  \(notice.line)", "  \(notice.alert.detail)",
                "  \(notice.alert.id)", "",
            ]
        }
        lines.append("What to do is said of each: postern alert list, GET /v1/alerts, docs/alerts.md.")
        return lines.joined(separator: "\n") + "\n"
    }
}
