// Fields that keys and SMTP users have in common, as a request gives them.

import Gate
import JSON
import Model

extension JSONReader {
    /// A label is shown in lists and logs: short, of one line, and as it looks.
    mutating func label(_ name: String, upTo limit: Int = 100) -> String? {
        guard let label = string(name) else { return nil }
        if !(1...limit).contains(label.unicodeScalars.count) || !label.unicodeScalars.allSatisfy(\.isPlain) {
            problem("must have 1 to \(limit) characters, none of which controls how text is shown", at: name)
        }
        return label
    }

    mutating func senderDomains() -> [DomainPattern]? { rules("sender_domains") }

    mutating func allowedIPs() -> [IPNetwork]? { rules("allowed_ips") }

    /// The name of an IP pool. Whether there is such a pool shows when mail is sent: it may be made later.
    mutating func ipPool() -> String? { label("ip_pool", upTo: 64) }

    /// A list of bounds. An empty one would be no bound to one reader, and all that there is to another.
    private mutating func rules<Rule: SettingElement & Hashable>(_ name: String) -> [Rule]? {
        guard let texts = strings(name) else { return nil }
        guard (1...CallerDirectory.KeyRequest.listLimit).contains(texts.count) else {
            problem(
                "must have 1 to \(CallerDirectory.KeyRequest.listLimit) entries; leave it out where there is no such bound",
                at: name)
            return nil
        }
        var rules: [Rule] = []
        for (index, text) in texts.enumerated() {
            do throws(SettingProblem) {
                let rule = try Rule(text: text)
                if !rules.contains(rule) { rules.append(rule) }
            } catch {
                adopt([JSONProblem(pointer: "\(pointer(to: name))/\(index)", message: error.message)])
            }
        }
        return rules
    }
}

extension Unicode.Scalar {
    /// Neither a control character nor one that turns or breaks the line it stands in.
    fileprivate var isPlain: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: false
        case .format: !properties.isBidiControl
        default: true
        }
    }
}
