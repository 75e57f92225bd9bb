// A vault's values for the dialects, and the fixtures as data.

import JSON
import MIME
import Mapping
import Model
import TestSupport

enum Sample {
    static let now = Timestamp(milliseconds: 1_800_000_000_000)
    static let correlation = CorrelationID(stored: "cor_01kev2x5r0000001")

    static func context(
        _ changes: JSONObject = JSONObject(),
        pools: [String: [String]] = [:],
        limits: MappingLimits = .init(),
        isExplained: Bool = false
    ) throws -> MappingContext {
        var settings: [String: any SettingValue] = [
            "default_priority": 5, "ip_pool_strategy": IPPoolStrategy.fromDomain,
            "ip_pool_missing": IPPoolMissing.default, "default_envelope_strategy": EnvelopeStrategy.from,
        ]
        for change in changes.members {
            guard let declaration = Settings.declaration(change.name) else {
                throw PosternError(.notFound, change.name)
            }
            settings[change.name] = change.value == .null ? nil : try declaration.fromJSON(change.value)
        }
        return MappingContext(
            settings: SettingsSnapshot(vault: settings, instance: [:]),
            pools: IPPools(pools.map { (domain: $0.key, name: $0.key, addresses: $0.value) }), limits: limits,
            hostname: "mail.example.org", now: now, isExplained: isExplained,
            correlations: { correlation })
    }

    static func json(_ envelope: Envelope, showsRaw: Bool = false) throws -> JSONValue {
        var writer = JSONWriter()
        envelope.write(to: &writer, showsRaw: showsRaw)
        return try JSONParser.parse(writer.bytes)
    }

    static func raw(_ envelope: Envelope) -> [UInt8]? {
        if case .raw(let message) = envelope.content.body { message.bytes } else { nil }
    }

    /// The message that an envelope stands for, as text.
    static func message(_ envelope: Envelope) throws -> String {
        String(decoding: try MessageBuilder.message(of: envelope, correlation: correlation, date: now), as: UTF8.self)
    }
}

extension JSONValue {
    /// The same document with the members of every object in the order of their names, and sizes that count as any.
    var comparable: JSONValue {
        switch self {
        case .array(let elements): return .array(elements.map(\.comparable))
        case .object(let object):
            var sorted = JSONObject()
            for member in object.members.sorted(by: { $0.name < $1.name }) {
                sorted[member.name] = member.name == "size" ? .string("any") : member.value.comparable
            }
            return .object(sorted)
        default: return self
        }
    }
}

struct Fixture: Sendable, CustomStringConvertible {
    let description: String
    let path: String

    /// All fixtures of a dialect, by name.
    static func all(_ dialect: String) -> [Fixture] {
        let folder =
            "\(#filePath)".split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" } + "/Fixtures/\(dialect)"
        let names = fileNames(in: folder).filter { $0.hasSuffix(".json") }
        return names.map { Fixture(description: "\(dialect)/\($0.dropLast(5))", path: "\(folder)/\($0)") }
    }

    func document() throws -> JSONObject {
        return try JSONParser.parse(fileBytes(path)).objectValue ?? JSONObject()
    }
}
