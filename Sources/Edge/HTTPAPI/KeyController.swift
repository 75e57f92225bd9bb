// API keys: issued once, listed without their secret, rotated, revoked.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Sealing
import Store

struct KeyController: Sendable {
    let callers: CallerDirectory
    let clock: any WallClock

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/keys", .keyRead, isGateway: false, list),
            Endpoint(.post, "/v1/keys", .keyWrite, isGateway: false, create),
            Endpoint(.get, "/v1/keys/{id}", .keyRead, isGateway: false, show),
            Endpoint(.delete, "/v1/keys/{id}", .keyWrite, isGateway: false, revoke),
            Endpoint(.post, "/v1/keys/{id}/rotate", .keyWrite, isGateway: false, rotate),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let keys = try await callers.keys.list(in: call.vault, page: page)
        return .list(keys, limit: page.limit, cursor: \.id.text) { key, writer in Self.write(key, nil, to: &writer) }
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let request = try Self.request(try await call.form(), by: call.caller, at: clock.now())
        let (key, text) = try await callers.issueKey(request, in: call.vault)
        return .json(status: .created) { writer in Self.write(key, text, to: &writer) }
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        guard let key = try await callers.keys.find(try call.id(KeyKind.self), in: call.vault) else {
            throw PosternError(.notFound, "there is no such key")
        }
        return .json { writer in Self.write(key, nil, to: &writer) }
    }

    @Sendable private func revoke(_ call: Call) async throws -> Response {
        try await callers.revokeKey(try call.id(KeyKind.self), in: call.vault)
        return Response(status: .noContent)
    }

    @Sendable private func rotate(_ call: Call) async throws -> Response {
        let (key, text) = try await callers.rotateKey(try call.id(KeyKind.self), in: call.vault)
        return .json { writer in Self.write(key, text, to: &writer) }
    }

    /// A new key can do no more than the one that makes it.
    private static func request(
        _ reader: JSONReader,
        by caller: Caller,
        at now: Timestamp
    ) throws(PosternError) -> CallerDirectory.KeyRequest {
        var reader = reader
        let label = reader.required("label", reader.string("label"))
        if let label { checkLabel(label, "label", &reader) }
        let kind = kind(&reader)
        var scopes: Scopes = []
        for name in reader.required("scopes", reader.strings("scopes")) ?? [] {
            guard let scope = Scopes(name: name) else {
                reader.problem(
                    "\"\(name.prefix(40))\" is none of \(Scopes.allNames.joined(separator: ", "))", at: "scopes")
                continue
            }
            scopes.insert(scope)
        }
        if scopes.isEmpty, reader.problems.isEmpty { reader.problem("must name at least one scope", at: "scopes") }
        let isReadOnly = reader.bool("read_only") ?? false
        let domains = domains(&reader)
        let expiresAt = expiry(&reader, after: now)
        reader.finish()
        guard reader.problems.isEmpty, let label else { throw .validation(reader.problems) }
        guard caller.scopes.isSuperset(of: scopes), isReadOnly || !caller.isReadOnly else {
            throw PosternError(
                .forbidden, "a key cannot issue one that may do more than itself",
                fix: "Ask for no more than \(caller.scopes.namesInOrder.joined(separator: ", ")).")
        }
        let narrowed = try narrow(domains, to: caller.senderDomains)
        return CallerDirectory.KeyRequest(
            label: label, kind: kind, scopes: scopes, isReadOnly: isReadOnly, senderDomains: narrowed,
            expiresAt: expiresAt)
    }

    private static func kind(_ reader: inout JSONReader) -> APIKey.Kind {
        guard let text = reader.string("kind") else { return .tool }
        if let kind = APIKey.Kind(rawValue: text) { return kind }
        reader.problem("is neither tool nor agent", at: "kind")
        return .tool
    }

    private static func domains(_ reader: inout JSONReader) -> [DomainPattern]? {
        guard let value = reader.value("sender_domains") else { return nil }
        do throws(SettingProblem) {
            return try [DomainPattern](json: value)
        } catch {
            reader.problem(error.message, at: "sender_domains")
            return nil
        }
    }

    private static func expiry(_ reader: inout JSONReader, after now: Timestamp) -> Timestamp? {
        guard let text = reader.string("expires_at") else { return nil }
        guard let time = Timestamp(text), time > now else {
            reader.problem("is not a time to come in RFC 3339", at: "expires_at")
            return nil
        }
        return time
    }

    private static func narrow(
        _ domains: [DomainPattern]?,
        to own: [DomainPattern]?
    ) throws(PosternError) -> [DomainPattern]? {
        guard let own else { return domains }
        guard let domains else { return own }
        guard domains.allSatisfy(own.contains) else {
            throw PosternError(.forbidden, "a key cannot issue one for sender domains that it does not have itself")
        }
        return domains
    }

    private static func write(_ key: APIKey, _ text: Secret<String>?, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", key.id.text)
            if let text { writer.member("key", text.reveal()) }
            writer.member("prefix", "ak_\(key.prefix)")
            writer.member("label", key.label)
            writer.member("kind", key.kind.rawValue)
            writer.member("scopes", key.scopes.namesInOrder)
            writer.member("read_only", key.isReadOnly)
            writer.name("sender_domains")
            if let domains = key.senderDomains { writer.value(domains.json) } else { writer.null() }
            writer.member("created_at", key.createdAt)
            writer.member("expires_at", key.expiresAt)
            writer.member("revoked_at", key.revokedAt)
            writer.member("last_used_at", key.lastUsedAt)
        }
    }
}

/// A label is shown in lists and logs: short, and of one line.
func checkLabel(_ label: String, _ name: String, _ reader: inout JSONReader) {
    let isClean = !label.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
    if !(1...100).contains(label.count) || !isClean {
        reader.problem("must have 1 to 100 characters, none of them a control character", at: name)
    }
}
