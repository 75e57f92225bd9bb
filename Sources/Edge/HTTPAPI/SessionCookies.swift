// The cookies of a session in a browser: made at each sign-in, taken away at its end. Only here do their names and flags stand.

import FoundationEssentials
import HTTPTypes
import Hummingbird
import Model
import People
import Sealing

struct SessionCookies: Sendable {
    /// The session itself; no script sees it.
    static let session = "postern_session"
    /// For the dashboard's own scripts, which send it back in `X-CSRF-Token`.
    static let csrf = "postern_csrf"
    /// Goes to `/auth` alone.
    static let refresh = "postern_refresh"

    /// Whether they travel by TLS only: then nobody on the way gets one by a request in clear.
    private let isSecure: Bool

    /// - Parameter publicURL: what people's browsers ask; whether this process speaks TLS says nothing, for a proxy may.
    init(publicURL: String) { isSecure = publicURL.lowercased().hasPrefix("https://") }

    /// What goes with the session's cookie: who knows it can read our pages, and another site cannot.
    static func csrf(for session: Secret<String>) -> String {
        Data(Digest.sha256("csrf:\(session.reveal())")).base64URL
    }

    /// Without an age: they go when the browser is closed, and are dead before where the server says so.
    func set(_ signedIn: SignedIn, on response: inout Response) {
        set(session: signedIn.cookie, on: &response)
        response.add(cookie: Self.refresh, signedIn.refreshToken.reveal(), flags([.httpOnly, .strict], path: "/auth"))
    }

    private func set(session: Secret<String>, on response: inout Response) {
        response.add(cookie: Self.session, session.reveal(), flags([.httpOnly, .lax]))
        response.add(cookie: Self.csrf, Self.csrf(for: session), flags([.lax]))
    }

    func clear(on response: inout Response) {
        response.add(cookie: Self.session, "", flags([.httpOnly, .lax, .gone]))
        response.add(cookie: Self.csrf, "", flags([.lax, .gone]))
        response.add(cookie: Self.refresh, "", flags([.httpOnly, .strict, .gone], path: "/auth"))
    }

    private enum Flag: String {
        case httpOnly = "HttpOnly"
        case lax = "SameSite=Lax"
        case strict = "SameSite=Strict"
        case gone = "Max-Age=0"
    }

    private func flags(_ flags: [Flag], path: String = "/") -> String {
        (["Path=\(path)"] + flags.map(\.rawValue) + (isSecure ? ["Secure"] : [])).joined(separator: "; ")
    }
}

extension Response {
    fileprivate mutating func add(cookie name: String, _ value: String, _ flags: String) {
        headers.append(HTTPField(name: .setCookie, value: "\(name)=\(value); \(flags)"))
    }
}

extension Data {
    /// RFC 4648 §5, without padding.
    fileprivate var base64URL: String {
        String(
            decoding: base64EncodedString().utf8.compactMap { byte -> UInt8? in
                switch byte {
                case UInt8(ascii: "+"): UInt8(ascii: "-")
                case UInt8(ascii: "/"): UInt8(ascii: "_")
                case UInt8(ascii: "="): nil
                default: byte
                }
            }, as: UTF8.self)
    }
}
