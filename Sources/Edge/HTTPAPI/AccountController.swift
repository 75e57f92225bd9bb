// What people change about their own account: name, password, second factor. Also the way back for a lost password.

import HTTPTypes
import Hummingbird
import JSON
import Model
import People
import Sealing

struct AccountController: Sendable {
    let accounts: AccountKeeper

    var endpoints: [Endpoint] {
        [
            .account(.patch, "/auth/me", .accountWrite, rename),
            .account(.post, "/auth/password", .accountSecure, changePassword),
            .open(.post, "/auth/password/forgot", .sessionBegin, forgot),
            .open(.post, "/auth/password/reset", .sessionBegin, reset),
            .account(.post, "/auth/totp", .accountSecure, beginTOTP),
            .account(.post, "/auth/totp/confirm", .accountSecure, confirmTOTP),
            .account(.delete, "/auth/totp", .accountSecure, removeTOTP),
            .account(.post, "/auth/totp/recovery-codes", .accountSecure, newRecoveryCodes),
        ]
    }

    @Sendable private func rename(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let name = reader.required("name", reader.string("name"))
        reader.finish()
        guard reader.problems.isEmpty, let name else { throw PosternError.validation(reader.problems) }
        let user = try await accounts.rename(call.person, to: name, visit: call.visit)
        return .json { writer in writer.account(user) }
    }

    /// All other sessions end. Who signs in elsewhere has no present password to give, and may set a first one here.
    @Sendable private func changePassword(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let current = reader.signInText("current")
        let new = reader.required("new", reader.signInText("new"))
        reader.finish()
        guard reader.problems.isEmpty, let new else { throw PosternError.validation(reader.problems) }
        try await accounts.changePassword(
            call.person, current: current.map(Secret.init), new: Secret(new), visit: call.visit)
        return Response(status: .noContent)
    }

    /// The same answer whether anybody has this address or not.
    @Sendable private func forgot(_ call: OpenCall) async throws -> Response {
        var reader = try await call.form()
        let email = reader.required("email", reader.signInText("email"))
        reader.finish()
        guard reader.problems.isEmpty, let email else { throw PosternError.validation(reader.problems) }
        try await accounts.requestReset(email: email, visit: call.visit)
        return .json(status: .accepted) { writer in writer.object { $0.member("status", "accepted") } }
    }

    /// Signs nobody in: whoever has the link still needs the second factor.
    @Sendable private func reset(_ call: OpenCall) async throws -> Response {
        var reader = try await call.form()
        let token = reader.required("token", reader.signInText("token"))
        let password = reader.required("password", reader.signInText("password"))
        reader.finish()
        guard reader.problems.isEmpty, let token, let password else { throw PosternError.validation(reader.problems) }
        try await accounts.reset(token: Secret(token), password: Secret(password), visit: call.visit)
        return Response(status: .noContent)
    }

    @Sendable private func beginTOTP(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        let (secret, uri) = try await accounts.beginTOTP(call.person, visit: call.visit)
        return .json { writer in
            writer.object { writer in
                writer.member("secret", secret.reveal())
                writer.member("uri", uri.reveal())
            }
        }
    }

    @Sendable private func confirmTOTP(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let code = reader.required("code", reader.signInText("code"))
        reader.finish()
        guard reader.problems.isEmpty, let code else { throw PosternError.validation(reader.problems) }
        return Self.answer(try await accounts.confirmTOTP(call.person, code: Secret(code), visit: call.visit))
    }

    @Sendable private func removeTOTP(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        try await accounts.removeTOTP(call.person, visit: call.visit)
        return Response(status: .noContent)
    }

    @Sendable private func newRecoveryCodes(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        return Self.answer(try await accounts.newRecoveryCodes(call.person, visit: call.visit))
    }

    /// Shown this once.
    private static func answer(_ codes: [Secret<String>]) -> Response {
        .json { writer in
            writer.object { $0.member("recovery_codes", codes.map { $0.reveal() }) }
        }
    }
}
