// Single sign-on from a terminal, as RFC 8252 describes it: a browser on the same machine is sent back to a port of ours, and
// what it brings is worth nothing without the verifier that never left this process (RFC 7636).

import JSON
import MIME
import Sealing

struct LoopbackSignIn {
    let api: APIClient
    /// Whether the provider is to ask even whom it knows.
    let isAgain: Bool
    /// Seconds for the person and their browser.
    let timeout: Int

    /// - Returns: the server's answer, tokens included.
    func run() async throws(CommandFailure) -> JSONObject {
        let verifier = Secret(RandomToken.text(64))
        let state = RandomToken.text(43)
        let listener = try await LoopbackListener.open(state: state)
        let callback: LoopbackListener.Callback
        do throws(CommandFailure) {
            let address = api.access.url + Self.start(port: listener.port, state, verifier, isAgain: isAgain).target
            Terminal.current.note("Open this in a browser on this machine, and sign in there:\n\n\(address)\n")
            callback = try await listener.callback(within: timeout)
        } catch {
            await listener.close()
            throw error
        }
        await listener.close()
        switch callback {
        case .code(let code):
            let body = JSONObject(["code": .string(code.reveal()), "code_verifier": .string(verifier.reveal())])
            return try await api.object(APIRequest(.post, in: .auth, "oidc", "token", json: body))
        case .refused(let error, let detail):
            throw .failed("the sign-in was refused: \(error)" + (detail.map { ": \($0)" } ?? ""))
        }
    }

    static func start(port: Int, _ state: String, _ verifier: Secret<String>, isAgain: Bool) -> APIRequest {
        var request = APIRequest(.get, in: .auth, "oidc", "start")
        request.ask("redirect_uri", "http://127.0.0.1:\(port)\(LoopbackListener.path)")
        request.ask("code_challenge", challenge(verifier))
        request.ask("code_challenge_method", "S256")
        request.ask("state", state)
        if isAgain { request.ask("reauthenticate", "true") }
        return request
    }

    /// RFC 7636 §4.2.
    static func challenge(_ verifier: Secret<String>) -> String {
        let encoded = Base64.encode(Digest.sha256(verifier.reveal())).compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}
