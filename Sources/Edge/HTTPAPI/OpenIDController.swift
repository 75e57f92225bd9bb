// Single sign-on at the HTTP door: browsers leave for the provider and come back, programs redeem what theirs brought them.

import HTTPTypes
import Hummingbird
import JSON
import Model
import NIOCore
import People
import Sealing
import Store

struct OpenIDController: Sendable {
    /// `nil`: no provider is configured, and the paths are not found.
    let signOn: SingleSignOn?
    let sessions: SessionKeeper
    let publicURL: String

    var endpoints: [Endpoint] {
        [
            .open(.get, "/auth/oidc/start", .sessionBegin, start),
            .open(.get, "/auth/oidc/callback", .sessionBegin, callback),
            .open(.post, "/auth/oidc/token", .sessionBegin, token),
        ]
    }

    /// With TLS the name itself keeps other hosts of the domain from setting it (RFC 6265bis §4.1.3.2).
    private var isSecure: Bool { publicURL.lowercased().hasPrefix("https://") }
    private var binding: String { isSecure ? "__Host-postern_oidc" : "postern_oidc" }

    private func configured() throws(PosternError) -> SingleSignOn {
        guard let signOn else {
            throw PosternError(
                .notFound, "no provider of single sign-on is configured", fix: "Sign in by password; see docs/sso.md.")
        }
        return signOn
    }

    @Sendable private func start(_ call: OpenCall) async throws -> Response {
        try await showing(call) {
            let signOn = try configured()
            var query = Query(call.request)
            let page = query.text("return_to")
            let again = query.text("reauthenticate")
            let program = (
                redirect: query.text("redirect_uri"), challenge: query.text("code_challenge"),
                method: query.text("code_challenge_method"), state: query.text("state")
            )
            if let again, !["true", "false"].contains(again) {
                query.problem("must be true or false", "reauthenticate")
            }
            var destination = SingleSignOnDestination.page("/")
            if let redirect = program.redirect {
                if page != nil { query.problem("does not go with redirect_uri", "return_to") }
                if program.method != "S256" { query.problem("must be S256", "code_challenge_method") }
                if let loopback = SingleSignOnDestination.Loopback(
                    redirect: redirect, challenge: program.challenge ?? "", state: program.state)
                {
                    destination = .program(loopback)
                } else {
                    query.problem(
                        "must be http://127.0.0.1:PORT/… or http://[::1]:PORT/…, with code_challenge and a plain state",
                        "redirect_uri")
                }
            } else if program.challenge != nil || program.method != nil || program.state != nil {
                query.problem("is needed by code_challenge and state", "redirect_uri")
            }
            if let page {
                if let checked = SingleSignOnDestination.page(checking: page) {
                    destination = checked
                } else {
                    query.problem("must be a path of this instance, such as /approvals", "return_to")
                }
            }
            try query.finish()
            let isAgain = again == "true"
            var person: Person?
            if isAgain, case .page = destination { person = await signedIn(call) }
            let start = try await signOn.begin(
                to: destination, isAgain: isAgain, person: person,
                browser: call.request.headers.cookie(binding).map(Secret.init))
            var response = Self.redirect(to: start.url)
            response.headers.append(
                HTTPField(
                    name: .setCookie,
                    value: "\(binding)=\(start.browser.reveal()); Path=/; HttpOnly; SameSite=Lax; "
                        + "Max-Age=\(SingleSignOn.patience)\(isSecure ? "; Secure" : "")"))
            return response
        }
    }

    @Sendable private func callback(_ call: OpenCall) async throws -> Response {
        try await showing(call) {
            let signOn = try configured()
            let finish = try await signOn.finish(
                try Self.answer(call.request), browser: call.request.headers.cookie(binding).map(Secret.init),
                person: await signedIn(call), visit: call.visit)
            switch finish.result {
            case .signedIn(let signedIn, let page):
                var response = Self.redirect(to: page)
                SessionCookies(publicURL: publicURL).set(signedIn, on: &response)
                return response
            case .program(let url): return Self.redirect(to: url)
            case .refused(let error, let retry):
                guard Self.wantsPage(call.request) else { throw error }
                return OpenIDPage.response(error, requestID: call.context.requestID, retry: retry)
            }
        }
    }

    @Sendable private func token(_ call: OpenCall) async throws -> Response {
        let signOn = try configured()
        var reader = try await call.form()
        let code = reader.required("code", reader.string("code"))
        let verifier = reader.required("code_verifier", reader.string("code_verifier"))
        reader.finish()
        guard reader.problems.isEmpty, let code, let verifier else { throw PosternError.validation(reader.problems) }
        let signedIn = try await signOn.redeem(code: Secret(code), verifier: Secret(verifier), visit: call.visit)
        return .json { writer in
            writer.object { writer in
                writer.member("token", signedIn.accessToken.reveal())
                writer.member("refresh_token", signedIn.refreshToken.reveal())
                writer.member("expires_in", signedIn.expiresIn)
                writer.name("user")
                writer.person(signedIn.person)
            }
        }
    }

    /// What the provider sent along. Providers add fields of their own, which mean nothing here; but each of ours is there
    /// once, or it would be anybody's guess which one counts.
    private static func answer(_ request: Request) throws(PosternError) -> SingleSignOn.Answer {
        let parameters = request.uri.queryParameters
        func only(_ name: String) throws(PosternError) -> String? {
            let values = parameters.getAll(name, as: String.self)
            guard values.count <= 1, values.allSatisfy({ $0.utf8.count <= 8192 }) else {
                throw PosternError.validation([
                    JSONProblem(pointer: "?\(name)", message: "is there twice, or is too long")
                ])
            }
            return values.first
        }
        guard let state = try only("state") else {
            throw PosternError.validation([JSONProblem(pointer: "?state", message: "is required")])
        }
        return SingleSignOn.Answer(
            state: state, code: try only("code").map(Secret.init), error: try only("error"), issuer: try only("iss"))
    }

    private func signedIn(_ call: OpenCall) async -> Person? {
        guard let cookie = call.request.headers.cookie(SessionCookies.session) else { return nil }
        // Whoever is not signed in (any more) just signs in.
        return try? await sessions.person(cookie: Secret(cookie))
    }

    /// People get a page, programs a problem document.
    private func showing(_ call: OpenCall, _ work: () async throws -> Response) async throws -> Response {
        do {
            return try await work()
        } catch {
            guard Self.wantsPage(call.request) else { throw error }
            return OpenIDPage.response(PosternError(describing: error), requestID: call.context.requestID, retry: nil)
        }
    }

    private static func wantsPage(_ request: Request) -> Bool {
        request.headers[.accept]?.lowercased().contains("text/html") ?? false
    }

    /// Where it leads goes on to nobody: the address before may hold a code.
    private static func redirect(to url: String) -> Response {
        Response(
            status: .seeOther,
            headers: [.location: url, .cacheControl: "no-store", .referrerPolicy: "no-referrer"])
    }
}

extension HTTPField.Name {
    static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
}
