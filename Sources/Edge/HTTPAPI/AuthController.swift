// The way in and out for people: sign-in, refresh, who one is, showing again who one is, and one's sessions.

import HTTPTypes
import Hummingbird
import JSON
import Model
import People
import Sealing
import Store
import Vaults

struct AuthController: Sendable {
    /// What can be used to sign in: for pages that have to offer it.
    struct Ways: Sendable {
        let password: Bool
        /// The name of the provider of single sign-on; `nil` without one.
        let openID: String?
    }

    let desk: SignInDesk
    let sessions: SessionKeeper
    let vaults: VaultDirectory
    let ways: Ways
    let publicURL: String

    var endpoints: [Endpoint] {
        [
            .open(.get, "/auth/providers", .statusRead, providers),
            .open(.post, "/auth/login", .sessionBegin, login),
            .open(.post, "/auth/refresh", .sessionBegin, refresh),
            .account(.post, "/auth/logout", .sessionEnd, logout),
            .account(.get, "/auth/me", .accountRead, me),
            .account(.post, "/auth/reauthenticate", .accountWrite, reauthenticate),
            .account(.get, "/auth/sessions", .accountRead, list),
            .account(.delete, "/auth/sessions", .sessionEnd, endOthers),
            .account(.delete, "/auth/sessions/{id}", .sessionEnd, end),
        ]
    }

    private var cookies: SessionCookies { SessionCookies(publicURL: publicURL) }

    @Sendable private func providers(_ call: OpenCall) async throws -> Response {
        .json { writer in
            writer.object { writer in
                writer.member("password", ways.password)
                writer.name("openid")
                if let name = ways.openID {
                    writer.object { writer in
                        writer.member("name", name)
                        writer.member("start", "/auth/oidc/start")
                    }
                } else {
                    writer.null()
                }
            }
        }
    }

    @Sendable private func login(_ call: OpenCall) async throws -> Response {
        // The answer makes cookies: a page of another site must not sign its visitor in as whoever it likes.
        try RequestOrigin.check(call.request, publicURL: publicURL)
        var reader = try await call.form()
        let email = reader.required("email", reader.signInText("email"))
        let password = reader.required("password", reader.signInText("password"))
        let code = reader.signInText("totp")
        reader.finish()
        guard reader.problems.isEmpty, let email, let password else { throw PosternError.validation(reader.problems) }
        return answer(
            try await desk.signIn(
                email: email, password: Secret(password), code: code.map(Secret.init), visit: call.visit))
    }

    /// By the token in the body, or by the cookie, which is sent to `/auth` alone.
    @Sendable private func refresh(_ call: OpenCall) async throws -> Response {
        try RequestOrigin.check(call.request, publicURL: publicURL)
        var reader = try await call.optionalForm()
        let given = reader.signInText("refresh_token")
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        guard let token = given ?? call.request.headers.cookie(SessionCookies.refresh), !token.isEmpty else {
            throw PosternError(
                .unauthorized, "the request has no refresh token",
                fix: "Send refresh_token, or sign in (POST /auth/login).")
        }
        return answer(try await sessions.refresh(Secret(token), visit: call.visit))
    }

    @Sendable private func logout(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        _ = try await sessions.end(call.person.session, of: call.person.id, visit: call.visit)
        var response = Response(status: .noContent)
        cookies.clear(on: &response)
        return response
    }

    @Sendable private func me(_ call: PersonCall) async throws -> Response {
        let person = call.person
        var memberships: [(vault: Vault, role: VaultRole)] = []
        for (id, role) in person.memberships {
            if let vault = try await vaults.find(id.text) { memberships.append((vault, role)) }
        }
        memberships.sort { $0.vault.slug < $1.vault.slug }
        let cookie = call.sessionCookie
        return .json { writer in
            writer.object { writer in
                writer.name("user")
                writer.person(person)
                writer.member("role", person.role.rawValue)
                writer.name("memberships")
                writer.array { writer in
                    for (vault, role) in memberships {
                        writer.object { writer in
                            writer.member("vault", vault.id.text)
                            writer.member("slug", vault.slug)
                            writer.member("name", vault.name)
                            writer.member("role", role.rawValue)
                        }
                    }
                }
                writer.name("session")
                writer.object { writer in
                    writer.member("id", person.session.text)
                    writer.member("method", person.method.rawValue)
                    writer.member("authenticated_at", person.authenticatedAt)
                }
                writer.member("csrf", cookie.map { SessionCookies.csrf(for: $0) })
            }
        }
    }

    @Sendable private func reauthenticate(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let password = reader.signInText("password")
        let code = reader.signInText("totp")
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        return answer(
            try await sessions.reauthenticate(
                call.person, password: password.map(Secret.init), code: code.map(Secret.init), visit: call.visit))
    }

    @Sendable private func list(_ call: PersonCall) async throws -> Response {
        let current = call.person.session
        let records = try await sessions.sessions(of: call.person.id)
        return .json { writer in
            writer.object { writer in
                writer.name("data")
                writer.array { writer in
                    for record in records {
                        writer.object { writer in
                            for member in record.document.members { writer.member(member.name, member.value) }
                            writer.member("current", record.id == current)
                        }
                    }
                }
                // A person has few sessions: one page.
                writer.member("next_cursor", nil as String?)
            }
        }
    }

    @Sendable private func end(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        let id = try call.id(SessionKind.self)
        guard try await sessions.end(id, of: call.person.id, visit: call.visit, audit: call.audits(.sessionEnd)) else {
            throw PosternError(.notFound, "you have no such session")
        }
        var response = Response(status: .noContent)
        if id == call.person.session { cookies.clear(on: &response) }
        return response
    }

    @Sendable private func endOthers(_ call: PersonCall) async throws -> Response {
        try await call.checkNothingIsGiven()
        let count = try await sessions.endAll(
            of: call.person.id, except: call.person.session, reason: SessionRecord.EndReason.revoked,
            audit: call.audits(.sessionEnd))
        return .json { writer in writer.object { $0.member("ended", count) } }
    }

    /// `{"token","refresh_token","expires_in","user"}`, and the cookies.
    private func answer(_ signedIn: SignedIn) -> Response {
        var response = Response.json { writer in
            writer.object { writer in
                writer.member("token", signedIn.accessToken.reveal())
                writer.member("refresh_token", signedIn.refreshToken.reveal())
                writer.member("expires_in", signedIn.expiresIn)
                writer.name("user")
                writer.person(signedIn.person)
            }
        }
        cookies.set(signedIn, on: &response)
        return response
    }
}

extension Asking<Person> {
    /// The session's cookie, where that is how the person showed who they are.
    var sessionCookie: Secret<String>? {
        guard request.headers[.authorization] == nil else { return nil }
        return request.headers.cookie(SessionCookies.session).map(Secret.init)
    }

    /// A body that has nothing to say may be missing, and has no fields.
    func checkNothingIsGiven() async throws {
        var reader = try await optionalForm()
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
    }
}

extension JSONReader {
    /// Text of a sign-in. What is longer than any address, password or token of ours is not worked on: hashing costs.
    mutating func signInText(_ name: String) -> String? {
        guard let text = string(name) else { return nil }
        guard text.utf8.count <= 1024 else {
            problem("must have at most 1024 bytes", at: name)
            return nil
        }
        return text
    }
}

extension JSONWriter {
    /// Somebody as they see themselves: `{"id","email","name","role","second_factor"}`.
    mutating func person(_ person: Person) {
        account(person.id, person.email, person.name, person.role, hasSecondFactor: person.hasSecondFactor)
    }

    mutating func account(_ user: User) {
        account(user.id, user.email, user.name, user.role, hasSecondFactor: user.hasSecondFactor)
    }

    private mutating func account(
        _ id: UserID,
        _ email: String,
        _ name: String,
        _ role: InstanceRole,
        hasSecondFactor: Bool
    ) {
        object { writer in
            writer.member("id", id.text)
            writer.member("email", email)
            writer.member("name", name)
            writer.member("role", role.rawValue)
            writer.member("second_factor", hasSecondFactor)
        }
    }
}
