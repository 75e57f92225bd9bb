// The labels of one series as they stand in the exposition: `a="b",c="d"`. The text is also the series' key, so that
// the same labels in another order are the same series.

struct PrometheusLabels: Hashable, Sendable {
    /// Without braces; empty for a series without labels.
    let text: String

    static let none = PrometheusLabels(text: "")
    static let overflow = PrometheusLabels(text: #"overflow="true""#)

    private init(text: String) { self.text = text }

    init(_ dimensions: [(String, String)], limits: PrometheusLimits) {
        guard !dimensions.isEmpty else {
            self = .none
            return
        }
        var labels: [(name: String, value: String)] = []
        for (name, value) in dimensions.prefix(limits.labels) {
            var unique = PrometheusName.label(name)
            while labels.contains(where: { $0.name == unique }) { unique += "_" }
            labels.append((unique, value))
        }
        labels.sort { $0.name < $1.name }
        var text = ""
        for (name, value) in labels {
            if !text.isEmpty { text += "," }
            text += name
            text += "=\""
            Self.append(value, to: &text, limit: limits.labelValueBytes)
            text += "\""
        }
        self.text = text
    }

    /// Escapes a label value. Control characters other than a line feed have no escape, and a NUL would end the text
    /// for Prometheus' reader, so they become U+FFFD.
    private static func append(_ value: String, to text: inout String, limit: Int) {
        if value.utf8.count <= limit, value.utf8.allSatisfy(\.isPlain) {
            text += value
            return
        }
        var left = limit
        for scalar in value.unicodeScalars {
            left -= UTF8.width(scalar)
            guard left >= 0 else { return }
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            case "\u{0}"..<"\u{20}", "\u{7F}": text += "\u{FFFD}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}

extension UInt8 {
    /// Printable ASCII that stands for itself inside quotes.
    fileprivate var isPlain: Bool {
        (0x20..<0x7F).contains(self) && self != UInt8(ascii: "\"") && self != UInt8(ascii: "\\")
    }
}
