// One fixture file, and how it is checked:
//
//     {"name": "…",
//      "payload": {"json": …} or {"form": [["name", "value"] or ["name", {"filename", "content_type", "base64"}], …]},
//      "settings": {"default_priority": 7}, "pools": {"example.com": ["192.0.2.1"]},             both optional
//      "expect": {"messages": [{…}, …], "envelopes": [{…}, …]}                                   envelopes optional
//             or {"error": {"code": "…", "pointers": ["/to"], "mentions": ["template"]}}}        the last two optional
//
// `DialectFixture+Messages.swift` has the members of a message. What stands in `expect` is compared; an unknown member fails.

import Dialects
import Forms
import JSON
import MIME
import Mapping
import Model
import Synchronization
import TestSupport
import Testing

struct DialectFixture: Sendable, CustomStringConvertible {
    let dialect: Dialect
    let description: String
    let path: String

    static let all: [DialectFixture] = Dialect.foreign.flatMap { dialect in
        let folder =
            "\(#filePath)".split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" }
            + "/Fixtures/\(dialect.rawValue)"
        return fileNames(in: folder).filter { $0.hasSuffix(".json") }.map { name in
            DialectFixture(
                dialect: dialect, description: "\(dialect.rawValue)/\(name.dropLast(5))", path: "\(folder)/\(name)")
        }
    }

    func check() throws {
        let fixture = try read()
        let context = try fixture.context()
        let result = Result { () throws(PosternError) in try messages(fixture.payload, context) }
        switch result {
        case .success(let messages): try check(messages, fixture)
        case .failure(let error): try check(error, fixture)
        }
    }

    func expectsError() throws -> Bool { try read().expected["error"] != nil }

    private typealias Message = (native: NativeMessage, mapped: MappedMessage)

    private func messages(_ payload: NativePayload, _ context: MappingContext) throws(PosternError) -> [Message] {
        guard let native = dialect.native else { return [] }
        var messages: [Message] = []
        var context = context
        for message in try native.read(payload, context) {
            messages.append((message, try message.mapped(context)))
            context = context.next()
        }
        return messages
    }

    // MARK: Comparing

    private func check(_ messages: [Message], _ fixture: Contents) throws {
        var reader = JSONReader(fixture.expected)
        let members = reader.array("messages")
        let envelopes = reader.array("envelopes")
        reader.finish()
        let expected = try #require(members, "an error was expected")
        #expect(reader.problems == [])
        try #require(!messages.isEmpty, "a payload is at least one message")
        try #require(messages.count == expected.count)
        for (message, expected) in zip(messages, expected) {
            for place in message.native.places { #expect(fixture.has(place), "\(place) is not in the payload") }
            let bytes = try MessageBuilder.message(
                of: message.mapped.envelopes[0], correlation: message.mapped.correlation, date: Self.now)
            for member in try #require(expected.objectValue).members {
                message.native.expect(
                    member.name, member.value, message: String(decoding: bytes, as: UTF8.self))
            }
        }
        if let envelopes {
            let actual = try messages.flatMap(\.mapped.envelopes).map { envelope in
                var writer = JSONWriter()
                envelope.write(to: &writer, showsRaw: true)
                return try JSONParser.parse(writer.bytes)
            }
            try #require(actual.count == envelopes.count)
            for (actual, expected) in zip(actual, envelopes) {
                #expect(actual.has(expected), "\(actual) lacks something of \(expected)")
            }
        }
    }

    private func check(_ error: PosternError, _ fixture: Contents) throws {
        let expected = try #require(fixture.expected["error"], "\(error) \(error.problems)")
        var reader = JSONReader(expected)
        let code = reader.required("code", reader.string("code"))
        let pointers = reader.strings("pointers")
        let mentions = reader.strings("mentions") ?? []
        reader.finish()
        #expect(reader.problems == [])
        #expect(error.code.rawValue == code, "\(error) \(error.problems)")
        if let pointers { #expect(Set(error.problems.map(\.pointer)) == Set(pointers)) }
        for problem in error.problems {
            #expect(fixture.has(problem.pointer, orParent: true), "\(problem.pointer) is not in the payload")
        }
        let words = ([error.detail] + error.problems.map(\.message)).joined(separator: "\n")
        for mention in mentions { #expect(words.contains(mention)) }
    }

    // MARK: Reading

    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    private struct Contents {
        let payload: NativePayload
        let settings: JSONObject
        let pools: JSONObject
        let expected: JSONObject

        func context() throws -> MappingContext {
            var values: [String: any SettingValue] = [:]
            let defaults: JSONObject = .init([
                "default_priority": .integer(5), "default_envelope_strategy": .string("from"),
                "ip_pool_strategy": .string("from_domain"), "ip_pool_missing": .string("default"),
            ])
            for change in defaults.members + settings.members {
                let declaration = try #require(Settings.declaration(change.name), "\(change.name) is no setting")
                values[change.name] = change.value == .null ? nil : try declaration.fromJSON(change.value)
            }
            let rows = pools.members.map { pool in
                (
                    domain: pool.name, name: pool.name,
                    addresses: (pool.value.arrayValue ?? []).compactMap(\.stringValue)
                )
            }
            let next = Mutex(UInt64(0))
            return MappingContext(
                settings: SettingsSnapshot(vault: values, instance: [:]), pools: IPPools(rows), limits: .init(),
                hostname: "mail.example.org", now: DialectFixture.now, isExplained: true,
                correlations: {
                    CorrelationID(
                        high: 1,
                        low: next.withLock { next in
                            next += 1
                            return next
                        })
                })
        }

        /// Whether a place that a dialect named is one: a JSON pointer into the payload, or the name of a field.
        func has(_ place: String, orParent: Bool = false) -> Bool {
            switch payload {
            case .form(let form): return orParent || form.names.contains(place)
            case .json(let value):
                var steps = place.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
                guard place.isEmpty || place.hasPrefix("/") else { return false }
                if orParent { steps = steps.dropLast() }
                return steps.reduce(value) { $0?[pointerStep: $1] } != nil
            }
        }
    }

    private func read() throws -> Contents {
        var reader = JSONReader(try JSONParser.parse(fileBytes(path)))
        _ = reader.required("name", reader.string("name"))
        let settings = reader.object("settings") ?? JSONObject()
        let pools = reader.object("pools") ?? JSONObject()
        let expected = reader.required("expect", reader.object("expect"))
        var payload = reader.reader("payload") ?? JSONReader(JSONObject())
        // A payload may well be null.
        let document = payload.isNull("json") ? .null : payload.value("json")
        let fields = payload.array("form")
        payload.finish()
        reader.finish()
        #expect(reader.problems + payload.problems == [])
        let native: NativePayload =
            if let document { .json(document) } else { .form(Form(try #require(fields).map(Self.field))) }
        return Contents(payload: native, settings: settings, pools: pools, expected: try #require(expected))
    }

    private static func field(_ value: JSONValue) throws -> FormField {
        let pair = try #require(value.arrayValue)
        try #require(pair.count == 2)
        let name = try #require(pair[0].stringValue)
        if let text = pair[1].stringValue { return FormField(name, text) }
        var file = JSONReader(pair[1])
        let filename = file.string("filename")
        let contentType = file.string("content_type")
        let bytes = Base64.decode((file.string("base64") ?? "").utf8)
        file.finish()
        #expect(file.problems == [])
        return FormField(
            name: name, value: .file(filename: filename, contentType: contentType, bytes: try #require(bytes)))
    }
}

extension JSONValue {
    fileprivate subscript(pointerStep step: Substring) -> JSONValue? {
        switch self {
        case .array(let elements): Int(step).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
        case .object(let object): object.members.first { JSONReader.escape($0.name) == step }?.value
        default: nil
        }
    }

    /// Whether all of another value stands in this one: members of objects, elements and values as they are.
    fileprivate func has(_ part: JSONValue) -> Bool {
        switch (self, part) {
        case (.object(let whole), .object(let part)):
            part.members.allSatisfy { whole[$0.name]?.has($0.value) ?? ($0.value == .null) }
        case (.array(let whole), .array(let part)):
            whole.count == part.count && zip(whole, part).allSatisfy { $0.has($1) }
        default: self == part
        }
    }
}
