// A record of the audit log as it is stored and hashed: exactly these texts, whatever they mean.

import Crypto
import JSON
import Model
import SQL

package struct AuditRecord: Sendable, Equatable {
    /// What was written down, as the columns hold it.
    package struct Fields: Sendable, Equatable {
        package let id: String
        /// Milliseconds since 1970.
        package let at: Int64
        package let actorID: String
        package let actorLabel: String
        package let door: String
        package let address: String?
        package let requestID: String?
        package let action: String
        package let resource: String
        package let outcome: String
        package let reason: String?
        /// JSON.
        package let before: String?
        /// JSON.
        package let after: String?

        package init(
            id: String, at: Int64, actorID: String, actorLabel: String, door: String, address: String?,
            requestID: String?, action: String, resource: String, outcome: String, reason: String?, before: String?,
            after: String?
        ) {
            self.id = id
            self.at = at
            self.actorID = actorID
            self.actorLabel = actorLabel
            self.door = door
            self.address = address
            self.requestID = requestID
            self.action = action
            self.resource = resource
            self.outcome = outcome
            self.reason = reason
            self.before = before
            self.after = after
        }

        package func with(before: String?, after: String?) -> Fields {
            Fields(
                id: id, at: at, actorID: actorID, actorLabel: actorLabel, door: door, address: address,
                requestID: requestID, action: action, resource: resource, outcome: outcome, reason: reason,
                before: before, after: after)
        }
    }

    package let chain: String
    /// From 1, without gaps.
    package let sequence: Int64
    package let fields: Fields
    /// Of this record, its place and the digest before it.
    package let digest: [UInt8]

    package init(chain: String, sequence: Int64, fields: Fields, digest: [UInt8]) {
        self.chain = chain
        self.sequence = sequence
        self.fields = fields
        self.digest = digest
    }

    /// The next record of a chain.
    init(_ fields: Fields, in chain: String, after head: AuditChain.Link) {
        self.chain = chain
        sequence = head.sequence + 1
        self.fields = fields
        digest = Self.digest(of: fields, in: chain, sequence: sequence, after: head.digest)
    }

    init(_ entry: AuditEntry, in chain: String, after head: AuditChain.Link) {
        self.init(Fields(entry), in: chain, after: head)
    }

    package var link: AuditChain.Link { AuditChain.Link(sequence: sequence, digest: digest) }

    /// Whether the record is as it was written, right after a record with this digest.
    package func isGenuine(after previous: [UInt8]) -> Bool {
        digest == Self.digest(of: fields, in: chain, sequence: sequence, after: previous)
    }
}

extension AuditRecord {
    /// Which fields, in which order: another arrangement gets another number.
    private static let version: UInt8 = 1

    package static func digest(
        of fields: Fields, in chain: String, sequence: Int64, after previous: [UInt8]
    ) -> [UInt8] {
        var input = DigestInput(version: version)
        input.add(previous)
        input.add(chain)
        input.add(sequence)
        input.add(fields.id)
        input.add(fields.at)
        input.add(fields.actorID)
        input.add(fields.actorLabel)
        input.add(fields.door)
        input.add(fields.address)
        input.add(fields.requestID)
        input.add(fields.action)
        input.add(fields.resource)
        input.add(fields.outcome)
        input.add(fields.reason)
        input.add(fields.before)
        input.add(fields.after)
        return Array(SHA256.hash(data: input.bytes))
    }
}

/// Fields one after the other, each with its presence and its length, so that no two different records look alike.
package struct DigestInput {
    package private(set) var bytes: [UInt8]

    package init(version: UInt8) {
        bytes = [version]
        bytes.reserveCapacity(1_024)
    }

    package mutating func add(_ text: String?) {
        guard let text else { return bytes.append(0) }
        add(present: text.utf8)
    }

    package mutating func add(_ number: Int64) {
        withUnsafeBytes(of: number.bigEndian) { add(present: $0) }
    }

    package mutating func add(_ blob: [UInt8]) { add(present: blob) }

    private mutating func add(present content: some Collection<UInt8>) {
        bytes.append(1)
        withUnsafeBytes(of: UInt64(content.count).bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: content)
    }
}

extension AuditRecord.Fields {
    static let columns: SQLStatement = """
        id, at, actor_id, actor_label, door, address, request_id, action, resource, outcome, reason, before_value, after_value
        """

    init(_ row: SQLRow) throws(SQLError) {
        id = try row.text(0)
        at = try row.integer(1)
        actorID = try row.text(2)
        actorLabel = try row.text(3)
        door = try row.text(4)
        address = try row.optionalText(5)
        requestID = try row.optionalText(6)
        action = try row.text(7)
        resource = try row.text(8)
        outcome = try row.text(9)
        reason = try row.optionalText(10)
        before = try row.optionalText(11)
        after = try row.optionalText(12)
    }

    /// Secrets are masked. Names come from people and programs: a NUL, which PostgreSQL cannot store, must not keep an act
    /// from being recorded.
    init(_ entry: AuditEntry) {
        func clean(_ text: String) -> String {
            text.utf8.contains(0) ? text.replacing("\0", with: "\u{FFFD}") : text
        }
        func text(_ value: JSONValue?) -> String? {
            guard let value, value != .null else { return nil }
            return String(decoding: JSONWriter.write(AuditMask.masked(value)), as: UTF8.self)
        }
        id = entry.id.text
        at = entry.at.milliseconds
        actorID = clean(entry.actor.id)
        actorLabel = clean(entry.actor.label)
        door = clean(entry.actor.door)
        address = entry.actor.address.map(clean)
        requestID = entry.actor.requestID.map(clean)
        action = clean(entry.action)
        resource = clean(entry.resource)
        outcome = entry.outcome.rawValue
        reason = entry.reason.map(clean)
        before = text(entry.before)
        after = text(entry.after)
    }

    /// - Throws: where a column does not hold what we would have written.
    package func entry() throws -> AuditEntry {
        func value(_ text: String?) throws -> JSONValue? { try text.map { try JSONParser.parse($0) } }
        guard let outcome = AuditEntry.Outcome(rawValue: outcome) else {
            throw SQLError(.unexpectedValue, "an audit record has an outcome that does not exist")
        }
        return AuditEntry(
            id: AuditID(stored: id), at: Timestamp(milliseconds: at),
            actor: Actor(id: actorID, label: actorLabel, door: door, address: address, requestID: requestID),
            action: action, resource: resource, before: try value(before), after: try value(after), outcome: outcome,
            reason: reason)
    }
}
