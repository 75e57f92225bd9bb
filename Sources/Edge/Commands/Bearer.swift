// What a command shows the server with each call, and how that is renewed when its time is over.

import JSON
import Sealing

enum Bearer: Sendable {
    case nobody
    case fixed(Secret<String>)
    case login(LoginFile)
    /// Signed in for this command alone; signed out at its end.
    case visitor(Secret<String>)
}

extension APIClient {
    /// Whether a person asks, as far as can be told from here.
    var isPerson: Bool {
        switch bearer {
        case .nobody: false
        case .fixed(let token): !token.reveal().hasPrefix("ak_")
        case .login, .visitor: true
        }
    }

    /// The token to begin a call with.
    func token() async throws(CommandFailure) -> Secret<String>? {
        switch bearer {
        case .nobody: return nil
        case .fixed(let token), .visitor(let token): return token
        case .login(let file):
            guard let login = try kept(file) else { throw Self.ended }
            guard !login.isFresh(at: Terminal.current.now()) else { return login.accessToken }
            return try await renew(file, after: nil)
        }
    }

    /// Another token after the server did not want `token`; `nil` where there is none to be had.
    func token(after token: Secret<String>) async throws(CommandFailure) -> Secret<String>? {
        guard case .login(let file) = bearer else { return nil }
        return try await renew(file, after: token)
    }

    private func kept(_ file: LoginFile) throws(CommandFailure) -> Login? {
        do throws(FileFailure) { return try file.read()[access.url] } catch { throw .failed(error.description) }
    }

    /// Uses the refresh token, unless another command did so meanwhile.
    private func renew(_ file: LoginFile, after used: Secret<String>?) async throws(CommandFailure) -> Secret<String> {
        try await file.change { book async throws(CommandFailure) in
            guard let login = book[access.url] else { throw Self.ended }
            let isUsed = used.map { $0.reveal() == login.accessToken.reveal() } ?? false
            if !isUsed, login.isFresh(at: Terminal.current.now()) { return login.accessToken }
            let body = JSONObject(["refresh_token": .string(login.refreshToken.reveal())])
            let response: APIResponse
            do throws(CommandFailure) {
                response = try await exchange(APIRequest(.post, in: .auth, "refresh", json: body), token: nil)
            } catch {
                guard case .refused(let problem) = error, problem.status == 401 else { throw error }
                book[access.url] = nil
                throw Self.ended
            }
            guard let answer = try Self.json(response).objectValue else { throw .notPostern }
            let renewed = try Login(answer: answer, now: Terminal.current.now())
            book.renew(access.url, renewed)
            return renewed.accessToken
        }
    }

    private static let ended = CommandFailure.failed("the login has ended; sign in again: postern login")
}
