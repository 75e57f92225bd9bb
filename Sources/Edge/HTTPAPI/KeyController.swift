// API keys: issued once, listed without their secret, rotated, relabelled, revoked.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Sealing
import Store
import Vaults

struct KeyController: Sendable {
    let callers: CallerDirectory
    let vaults: VaultDirectory
    let clock: any WallClock

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/keys", .keyRead, isGateway: false, list),
            Endpoint(.post, "/v1/keys", .keyWrite, isGateway: false, create),
            Endpoint(.get, "/v1/keys/{id}", .keyRead, isGateway: false, show),
            Endpoint(.patch, "/v1/keys/{id}", .keyWrite, isGateway: false, relabel),
            Endpoint(.delete, "/v1/keys/{id}", .keyWrite, isGateway: false, revoke),
            Endpoint(.post, "/v1/keys/{id}/rotate", .keyWrite, isGateway: false, rotate),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let (keys, now) = (try await callers.keys(for: call.caller, page: page), clock.now())
        return .list(keys, limit: page.limit, cursor: \.id.text) { key, writer in
            writer.value(.object(key.document(at: now)))
        }
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let request = try CallerDirectory.KeyRequest(try await call.form(), by: call.caller, at: clock.now())
        if request.allowedIPs != nil { try await vaults.require(.allowedIPs, in: call.vault) }
        let (key, text) = try await callers.issueKey(
            request, by: call.caller, in: call.vault, audit: call.audits(.keyWrite))
        return answer(key, text, status: .created)
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        answer(try await callers.key(try call.id(KeyKind.self), for: call.caller))
    }

    /// What a key may do never changes: who holds it, and what came from it, rely on that.
    @Sendable private func relabel(_ call: Call) async throws -> Response {
        var reader = try await call.form()
        let label = reader.required("label", reader.label("label"))
        reader.finish()
        guard reader.problems.isEmpty, let label else {
            throw PosternError(
                .validationFailed, PosternError.validation(reader.problems).detail,
                fix: "Only the label of a key can change; issue another key where it is to do more or less.",
                problems: reader.problems)
        }
        return answer(
            try await callers.relabelKey(
                try call.id(KeyKind.self), as: label, by: call.caller, in: call.vault, audit: call.audits(.keyWrite)))
    }

    @Sendable private func revoke(_ call: Call) async throws -> Response {
        try await callers.revokeKey(
            try call.id(KeyKind.self), by: call.caller, in: call.vault, audit: call.audits(.keyWrite))
        return Response(status: .noContent)
    }

    @Sendable private func rotate(_ call: Call) async throws -> Response {
        var reader = try await call.optionalForm()
        let overlap = reader.integer("overlap_seconds") ?? 0
        let allowed = CallerDirectory.KeyRequest.overlap
        if !allowed.contains(overlap) {
            reader.problem("must be from \(allowed.lowerBound) to \(allowed.upperBound)", at: "overlap_seconds")
        }
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        let (key, text) = try await callers.rotateKey(
            try call.id(KeyKind.self), overlap: overlap, by: call.caller, in: call.vault,
            audit: call.audits(.keyWrite))
        return answer(key, text)
    }

    private func answer(
        _ key: APIKey,
        _ text: Secret<String>? = nil,
        status: HTTPResponse.Status = .ok
    ) -> Response {
        .json(status: status) { writer in
            writer.object { writer in
                let document = key.document(at: clock.now())
                writer.member("id", key.id.text)
                if let text { writer.member("key", text.reveal()) }
                for member in document.members.dropFirst() { writer.member(member.name, member.value) }
            }
        }
    }
}
