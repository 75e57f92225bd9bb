// Signing in by password, with a second factor where the server wants one.

import JSON
import Sealing

extension APIClient {
    /// - Parameter code: of the second factor; asked for when the server wants it and it is not given.
    /// - Returns: the server's answer, tokens included.
    func signIn(
        _ request: (JSONObject) -> APIRequest,
        fields: JSONObject,
        code: String?
    ) async throws(CommandFailure) -> JSONObject {
        var fields = fields
        fields.give("totp", code)
        do throws(CommandFailure) {
            return try await object(request(fields))
        } catch {
            guard code == nil, case .refused(let problem) = error, problem.code == "second_factor_required" else {
                throw error
            }
            let question = Question(prompt: "the second factor's code", isSecret: true, otherwise: "")
            // Who cannot be asked is better served by what the server said.
            guard let typed = try Terminal.current.ask(question) else { throw error }
            fields.give("totp", typed.trimmed)
            return try await object(request(fields))
        }
    }

    /// Signs in, lets `body` work, and signs out, whatever came of it: nothing is kept.
    func visit(
        as email: String,
        _ password: Secret<String>,
        _ body: (APIClient) async throws -> Void
    ) async throws {
        let fields = JSONObject(["email": .string(email), "password": .string(password.reveal())])
        let answer = try await signIn({ APIRequest(.post, in: .auth, "login", json: $0) }, fields: fields, code: nil)
        let login = try Login(answer: answer, now: Terminal.current.now())
        let visitor = showing(.visitor(login.accessToken))
        do {
            try await body(visitor)
        } catch {
            await visitor.leave()
            throw error
        }
        await visitor.leave()
    }

    /// A session that stays behind ends by itself: no reason to fail a command that did its work.
    private func leave() async {
        do throws(CommandFailure) { _ = try await send(APIRequest(.post, in: .auth, "logout")) } catch {}
    }
}
