// SMTP users: logins for tools that speak SMTP.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Sealing
import Store

struct SMTPUserController: Sendable {
    let callers: CallerDirectory

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/smtp-users", .smtpUserRead, list),
            Endpoint(.post, "/v1/smtp-users", .smtpUserWrite, create),
            Endpoint(.get, "/v1/smtp-users/{id}", .smtpUserRead, show),
            Endpoint(.delete, "/v1/smtp-users/{id}", .smtpUserWrite, delete),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let users = try await callers.users.list(in: call.vault, page: page)
        return .list(users, limit: page.limit, cursor: \.id.text) { user, writer in Self.write(user, nil, to: &writer) }
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        var reader = try await call.form()
        let username = reader.string("username")
        let label = reader.string("label")
        if let username { Self.checkName(username, &reader) }
        if let label { checkLabel(label, "label", &reader) }
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        let (user, password) = try await callers.addUser(username: username, label: label, in: call.vault)
        return .json(status: .created) { writer in Self.write(user, password, to: &writer) }
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        guard let user = try await callers.users.find(try call.id(SMTPUserKind.self), in: call.vault) else {
            throw PosternError(.notFound, "there is no such SMTP user")
        }
        return .json { writer in Self.write(user, nil, to: &writer) }
    }

    @Sendable private func delete(_ call: Call) async throws -> Response {
        try await callers.deleteUser(try call.id(SMTPUserKind.self), in: call.vault)
        return Response(status: .noContent)
    }

    /// What every client can send: ASCII without spaces, and no colon, which Basic ends the name with (RFC 7617 §2).
    private static func checkName(_ name: String, _ reader: inout JSONReader) {
        let isClean = name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
        if !isClean || !(3...64).contains(name.utf8.count) {
            reader.problem("must have 3 to 64 printable ASCII characters without space or colon", at: "username")
        }
    }

    private static func write(_ user: SMTPUser, _ password: Secret<String>?, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", user.id.text)
            writer.member("username", user.username)
            if let password { writer.member("password", password.reveal()) }
            writer.member("label", user.label)
            writer.member("created_at", user.createdAt)
            writer.member("last_used_at", user.lastUsedAt)
        }
    }
}
