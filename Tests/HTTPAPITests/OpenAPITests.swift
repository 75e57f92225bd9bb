// The description of the API says what the router does, and no more: both are held against each other.

import CoreTestSupport
import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Providers
import Store
import Testing

@testable import HTTPAPI

@Suite("The API's description")
struct OpenAPITests {
    @Test("every endpoint is described, and everything described is an endpoint")
    func endpoints() async throws {
        try await withDoor { door in
            let description = try await Description(door)
            let there = Set(door.api.endpoints.map { Operation($0.method.rawValue, $0.path) })
                .union(providerOperations.keys)
            let described = Set(description.operations.keys)
            #expect(described.subtracting(there) == [], "described, and not there")
            #expect(there.subtracting(described) == [], "there, and not described")
        }
    }

    @Test("the router has what the endpoints say, and nothing beside it")
    func routes() async throws {
        try await withDoor { door in
            let known = Set(
                door.api.endpoints.flatMap(\.routerPaths).map(withoutSlash)
                    + providerOperations.keys.map { withoutSlash($0.path) })
            #expect(Set(door.api.router().routes.map { withoutSlash($0.path.description) }) == known)
        }
    }

    @Test("each operation asks for what the gate asks for, and names its action")
    func security() async throws {
        try await withDoor { door in
            let description = try await Description(door)
            for endpoint in door.api.endpoints {
                let operation = Operation(endpoint.method.rawValue, endpoint.path)
                let item = try #require(description.operations[operation], "\(operation)")
                #expect(item["security"]?.arrayValue == Self.security(of: endpoint), "\(operation)")
                #expect(item["x-postern-action"]?.stringValue == endpoint.action.rawValue, "\(operation)")
            }
            for (operation, (scheme, action)) in providerOperations {
                let item = try #require(description.operations[operation], "\(operation)")
                #expect(item["security"]?.arrayValue == Self.keys(action, as: scheme), "\(operation)")
                #expect(item["x-postern-action"]?.stringValue == action.rawValue, "\(operation)")
            }
        }
    }

    private static func security(of endpoint: Endpoint) -> [JSONValue] {
        // A person shows a token, or the cookie of a session.
        let person = ["session", "cookie"].map { JSONValue.object([$0: .array([])]) }
        switch endpoint.subject {
        case .open: return []
        case .namedVault, .instance, .account: return person
        case .vault:
            var ways = keys(endpoint.action, as: "key")
            if endpoint.credentials == .keyOrLogin { ways.append(.object(["login": .array([])])) }
            return endpoint.action.rule.member == nil ? ways : ways + person
        }
    }

    private static func keys(_ action: Action, as scheme: String) -> [JSONValue] {
        guard let scopes = action.rule.scopes else { return [] }
        guard !scopes.isEmpty else { return [.object([scheme: .array([])])] }
        return scopes.namesInOrder.map { .object([scheme: .array([.string($0)])]) }
    }

    @Test("its lists of words are the program's")
    func words() async throws {
        try await withDoor { door in
            let description = try await Description(door)
            #expect(try description.words("ErrorCode") == ErrorCode.allCases.map(\.rawValue))
            #expect(try description.words("MessageStatus") == MessageStatus.allCases.map(\.rawValue))
            #expect(try description.words("EventType") == EventType.allCases.map(\.rawValue))
            #expect(try description.words("Route") == RouteName.allCases.map(\.rawValue))
            #expect(try description.words("Scope") == Scopes.allNames)
            let kind = try description.schema("KeyRequest", "properties", "kind")
            #expect(kind["enum"]?.arrayValue == APIKey.Kind.allCases.map { .string($0.rawValue) })
        }
    }

    @Test("it has every setting, to read and to change, and no other")
    func settings() async throws {
        try await withDoor { door in
            let description = try await Description(door)
            let keys = Settings.all.map(\.key)
            let all = try description.schema("Settings", "properties", "settings")
            #expect(all["properties"]?.objectValue?.members.map(\.name) == keys)
            #expect(all["required"]?.arrayValue == keys.map { .string($0) })
            #expect(try description.schema("SettingsPatch", "properties").members.map(\.name) == keys)
        }
    }

    @Test("a setting of a few words lists them")
    func choices() async throws {
        try await withDoor { door in
            let settings = try await Description(door).schema("SettingsPatch", "properties")
            let choices = Settings.all.filter { $0.typeName.hasPrefix("one of ") }.map(\.key)
            #expect(choices.contains("default_envelope_strategy"))
            // These take more than a few words, and the route's stand elsewhere.
            for key in choices where !["ip_pool_strategy", "auth_mode", "route"].contains(key) {
                let words = try #require(settings[key]?.objectValue?["enum"]?.arrayValue, "\(key)")
                    .compactMap(\.stringValue)
                let types = "one of " + words.map { "`\($0)`" }.joined(separator: ", ")
                #expect(Settings.declaration(key)?.typeName == types)
            }
        }
    }

    @Test("every reference in it leads somewhere, and every operation has a name of its own")
    func references() async throws {
        try await withDoor { door in
            let description = try await Description(door)
            var references: Set<String> = []
            Description.collect(.object(description.document), into: &references)
            #expect(references.count > 50)
            for reference in references.sorted() { #expect(description.target(of: reference) != nil, "\(reference)") }
            let names = description.operations.values.compactMap { $0["operationId"]?.stringValue }
            #expect(names.count == description.operations.count)
            #expect(Set(names).count == names.count)
        }
    }

    @Test("a status that is described as an error is one of the catalogue's")
    func statuses() async throws {
        try await withDoor { door in
            let known = Set(ErrorCode.allCases.map { String($0.entry.httpStatus) })
            for (operation, item) in try await Description(door).operations {
                let statuses = try #require(item["responses"]?.objectValue).members.map(\.name)
                for status in statuses where ("400"..."599").contains(status) && status.utf8.count == 3 {
                    #expect(known.contains(status), "\(operation): \(status)")
                }
            }
        }
    }
}

/// What the providers' own paths need: the name of their way to show a key, and the gate's action.
private var providerOperations: [Operation: (scheme: String, action: Action)] {
    let schemes = ["ses": "aws", "mailgun": "mailgun", "postmark": "postmark"]
    var operations: [Operation: (scheme: String, action: Action)] = [:]
    for api in ProviderDoor.apis {
        let provider = api.settingsBase.split(separator: "/").first.map(String.init) ?? ""
        for operation in api.operations {
            operations[Operation(operation.method, api.base + operation.path)] = (
                schemes[provider] ?? "key", operation.action
            )
        }
    }
    return operations
}

/// A router may keep the slash at a path's end or not; it takes both.
private func withoutSlash(_ path: String) -> String {
    path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
}

private struct Operation: Hashable, CustomStringConvertible {
    let method: String
    let path: String

    init(_ method: String, _ path: String) {
        self.method = method
        self.path = path
    }

    var description: String { "\(method) \(path)" }
}

/// The document as the door answers it.
private struct Description {
    let document: JSONObject
    let operations: [Operation: JSONObject]

    init(_ door: OpenDoor) async throws {
        document = try await door.call(.get, "/openapi.json", authorization: .none).object
        var operations: [Operation: JSONObject] = [:]
        for path in try #require(document["paths"]?.objectValue).members {
            for member in try #require(path.value.objectValue).members where member.name != "parameters" {
                operations[Operation(member.name.uppercased(), path.name)] = member.value.objectValue
            }
        }
        self.operations = operations
    }

    func schema(_ names: String...) throws -> JSONObject {
        var object = try #require(target(of: "#/components/schemas")?.objectValue)
        for name in names { object = try #require(object[name]?.objectValue, "\(names)") }
        return object
    }

    func words(_ name: String) throws -> [String] {
        try #require(try schema(name)["enum"]?.arrayValue).compactMap(\.stringValue)
    }

    /// What a `$ref` into this document points at. None of our names needs a pointer's escapes.
    func target(of reference: String) -> JSONValue? {
        var value = JSONValue.object(document)
        guard reference.hasPrefix("#/") else { return nil }
        for part in reference.dropFirst(2).split(separator: "/") {
            guard let next = value.objectValue?[String(part)] else { return nil }
            value = next
        }
        return value
    }

    static func collect(_ value: JSONValue, into references: inout Set<String>) {
        switch value {
        case .object(let object):
            for member in object.members {
                if member.name == "$ref", let reference = member.value.stringValue { references.insert(reference) }
                collect(member.value, into: &references)
            }
        case .array(let elements): for element in elements { collect(element, into: &references) }
        case .null, .bool, .integer, .number, .string: break
        }
    }
}

extension JSONValue {
    fileprivate static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(JSONObject(members))
    }
}
