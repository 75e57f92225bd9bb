// SMTP users: logins for tools that speak SMTP.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Sealing
import Store
import Vaults

struct SMTPUserController: Sendable {
    let callers: CallerDirectory
    let vaults: VaultDirectory

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/smtp-users", .smtpUserRead, list),
            Endpoint(.post, "/v1/smtp-users", .smtpUserWrite, create),
            Endpoint(.get, "/v1/smtp-users/{id}", .smtpUserRead, show),
            Endpoint(.patch, "/v1/smtp-users/{id}", .smtpUserWrite, change),
            Endpoint(.delete, "/v1/smtp-users/{id}", .smtpUserWrite, delete),
            Endpoint(.post, "/v1/smtp-users/{id}/rotate", .smtpUserWrite, rotate),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let users = try await callers.users(for: call.caller, page: page)
        return .list(users, limit: page.limit, cursor: \.id.text) { user, writer in
            writer.value(.object(user.document))
        }
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        var reader = try await call.form()
        let request = CallerDirectory.UserRequest(
            username: reader.username(), label: reader.label("label"), allowedIPs: reader.allowedIPs(),
            senderDomains: reader.senderDomains(), ipPool: reader.ipPool())
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        if request.allowedIPs != nil { try await vaults.require(.allowedIPs, in: call.vault) }
        let (user, password) = try await callers.addUser(
            request, by: call.caller, in: call.vault, audit: call.audits(.smtpUserWrite))
        return Self.answer(user, password, status: .created)
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        Self.answer(try await callers.user(try call.id(SMTPUserKind.self), for: call.caller))
    }

    /// What is not given stays as it is; null takes a bound away.
    @Sendable private func change(_ call: Call) async throws -> Response {
        var reader = try await call.form()
        var change = CallerDirectory.UserChange()
        change.label = reader.label("label")
        if reader.isNull("label") { reader.problem("cannot be taken away", at: "label") }
        if let networks = reader.allowedIPs() { change.allowedIPs = .some(networks) }
        if reader.isNull("allowed_ips") { change.allowedIPs = .some(nil) }
        if let domains = reader.senderDomains() { change.senderDomains = .some(domains) }
        if reader.isNull("sender_domains") { change.senderDomains = .some(nil) }
        if let pool = reader.ipPool() { change.ipPool = .some(pool) }
        if reader.isNull("ip_pool") { change.ipPool = .some(nil) }
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        if let networks = change.allowedIPs, networks != nil { try await vaults.require(.allowedIPs, in: call.vault) }
        return Self.answer(
            try await callers.changeUser(
                try call.id(SMTPUserKind.self), change, by: call.caller, in: call.vault,
                audit: call.audits(.smtpUserWrite)))
    }

    @Sendable private func delete(_ call: Call) async throws -> Response {
        try await callers.deleteUser(
            try call.id(SMTPUserKind.self), by: call.caller, in: call.vault, audit: call.audits(.smtpUserWrite))
        return Response(status: .noContent)
    }

    @Sendable private func rotate(_ call: Call) async throws -> Response {
        var reader = try await call.optionalForm()
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        let (user, password) = try await callers.rotateUser(
            try call.id(SMTPUserKind.self), by: call.caller, in: call.vault, audit: call.audits(.smtpUserWrite))
        return Self.answer(user, password)
    }

    private static func answer(
        _ user: SMTPUser,
        _ password: Secret<String>? = nil,
        status: HTTPResponse.Status = .ok
    ) -> Response {
        .json(status: status) { writer in
            writer.object { writer in
                writer.member("id", user.id.text)
                writer.member("username", user.username)
                if let password { writer.member("password", password.reveal()) }
                for member in user.document.members.dropFirst(2) { writer.member(member.name, member.value) }
            }
        }
    }
}

extension JSONReader {
    /// What every client can send: ASCII without spaces, and no colon, which Basic ends the name with (RFC 7617 §2).
    fileprivate mutating func username() -> String? {
        guard let name = string("username") else { return nil }
        let isClean = name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
        if !isClean || !(3...64).contains(name.utf8.count) {
            problem("must have 3 to 64 printable ASCII characters without space or colon", at: "username")
        }
        return name
    }
}
