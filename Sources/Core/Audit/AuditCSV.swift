// Records of the audit log as CSV (RFC 4180). No cell is a formula: what strangers put into names must not run in a spreadsheet.

import Model
import Store

enum AuditCSV {
    static let header = Array(
        ("sequence,at,id,chain,actor,actor_label,door,address,request_id,action,resource,outcome,reason,before,after,digest"
            + "\r\n").utf8)

    static func row(_ record: AuditRecord) -> [UInt8] {
        let fields = record.fields
        let cells: [String?] = [
            fields.id, record.chain, fields.actorID, fields.actorLabel, fields.door, fields.address, fields.requestID,
            fields.action, fields.resource, fields.outcome, fields.reason, fields.before, fields.after,
        ]
        let text = cells.map { cell($0 ?? "") }.joined(separator: ",")
        let at = Timestamp(milliseconds: fields.at)
        return Array("\(record.sequence),\(at),\(text),\(record.digest.hex)\r\n".utf8)
    }

    /// In quotes, and with an apostrophe in front where a spreadsheet would see the beginning of a formula.
    static func cell(_ text: String) -> String {
        guard !text.isEmpty else { return "" }
        return "\"" + (startsFormula(text) ? "'" : "") + text.replacing("\"", with: "\"\"") + "\""
    }

    /// Blanks are passed over, as spreadsheets do.
    private static func startsFormula(_ text: String) -> Bool {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "=", "+", "-", "@", "|", "%", "\t", "\r", "\n": return true
            // Their wide forms, which some programs take for the same.
            case "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}": return true
            default: if !scalar.properties.isWhitespace { return false }
            }
        }
        return false
    }
}
