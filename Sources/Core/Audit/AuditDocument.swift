// A record of the audit log as people and programs read it: one JSON object, the same in the API's answers and in exports.

package import JSON
import Model
package import Store

package enum AuditDocument {
    package static func write(_ record: AuditRecord, to writer: inout JSONWriter) {
        writer.object { writer in members(of: record, &writer) }
    }

    /// A line of an export: with what is needed to check it where there is no database.
    /// - Parameter previous: the digest of the record before; `nil` where that one is not there.
    package static func line(_ record: AuditRecord, previous: [UInt8]?) -> [UInt8] {
        var writer = JSONWriter(capacity: 768)
        writer.object { writer in
            members(of: record, &writer)
            writer.member("chain", record.chain)
            writer.member("previous", previous?.hex)
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private static func members(of record: AuditRecord, _ writer: inout JSONWriter) {
        let fields = record.fields
        writer.member("id", fields.id)
        writer.member("at", Timestamp(milliseconds: fields.at).description)
        writer.member("actor", fields.actorID)
        writer.member("actor_label", fields.actorLabel)
        writer.member("door", fields.door)
        writer.member("address", fields.address)
        writer.member("request_id", fields.requestID)
        writer.member("action", fields.action)
        writer.member("resource", fields.resource)
        writer.member("outcome", fields.outcome)
        writer.member("reason", fields.reason)
        writer.member("before", value(fields.before))
        writer.member("after", value(fields.after))
        writer.member("sequence", Int(record.sequence))
        writer.member("digest", record.digest.hex)
    }

    /// What is no JSON was put there by somebody else, and is shown as it is.
    private static func value(_ text: String?) -> JSONValue {
        guard let text else { return .null }
        return (try? JSONParser.parse(text)) ?? .string(text)
    }
}

extension AuditDocument {
    /// Reads a line of an export back.
    /// - Returns: `nil` where it is none.
    static func record(_ line: some Collection<UInt8>) -> (record: AuditRecord, previous: [UInt8]?)? {
        guard let document = (try? JSONParser.parse(Array(line)))?.objectValue else { return nil }
        func text(_ name: String) -> String? { document[name]?.stringValue }
        /// As it is stored: nothing, or JSON.
        func json(_ name: String) -> String? {
            guard let value = document[name], value != .null else { return nil }
            return String(decoding: JSONWriter.write(value), as: UTF8.self)
        }
        guard let id = text("id"), let at = text("at").flatMap(Timestamp.init), let actor = text("actor"),
            let label = text("actor_label"), let door = text("door"), let action = text("action"),
            let resource = text("resource"), let outcome = text("outcome"), let chain = text("chain"),
            let sequence = document["sequence"]?.integerValue, let digest = text("digest").flatMap([UInt8].init(hex:))
        else { return nil }
        let fields = AuditRecord.Fields(
            id: id, at: at.milliseconds, actorID: actor, actorLabel: label, door: door, address: text("address"),
            requestID: text("request_id"), action: action, resource: resource, outcome: outcome, reason: text("reason"),
            before: json("before"), after: json("after"))
        let record = AuditRecord(chain: chain, sequence: sequence, fields: fields, digest: digest)
        return (record, text("previous").flatMap([UInt8].init(hex:)))
    }
}
