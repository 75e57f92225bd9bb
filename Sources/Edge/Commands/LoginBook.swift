// The logins that are kept, one a server: what stands in credentials.json.

import JSON
import Sealing

/// A person's way back in without a password.
struct Login: Sendable {
    let email: String
    let accessToken: Secret<String>
    /// By this machine's clock, in seconds since 1970.
    let accessEnds: Int64
    /// Good once: whoever uses it a second time ends the session.
    let refreshToken: Secret<String>

    /// Seconds before its end in which an access token is no longer begun with.
    private static let margin: Int64 = 30

    /// The answer of a sign-in: `{"token","refresh_token","expires_in","user"}`.
    init(answer: JSONObject, now: Int64) throws(CommandFailure) {
        guard let access = answer["token"]?.stringValue, let refresh = answer["refresh_token"]?.stringValue,
            let lifetime = answer["expires_in"]?.integerValue, (0...31_536_000).contains(lifetime),
            let email = answer["user"]?.objectValue?["email"]?.stringValue
        else { throw .notPostern }
        self.email = email
        accessToken = Secret(access)
        accessEnds = now + lifetime
        refreshToken = Secret(refresh)
    }

    fileprivate init?(stored: JSONObject) {
        guard let email = stored["email"]?.stringValue, let access = stored["access_token"]?.stringValue,
            let ends = stored["access_ends"]?.integerValue, let refresh = stored["refresh_token"]?.stringValue
        else { return nil }
        self.email = email
        accessToken = Secret(access)
        accessEnds = ends
        refreshToken = Secret(refresh)
    }

    fileprivate var stored: JSONObject {
        JSONObject([
            "email": .string(email), "access_token": .string(accessToken.reveal()), "access_ends": .integer(accessEnds),
            "refresh_token": .string(refreshToken.reveal()),
        ])
    }

    func isFresh(at now: Int64) -> Bool { now < accessEnds - Self.margin }
}

struct LoginBook: Sendable {
    private var logins: [(url: String, login: Login)] = []
    /// The server of the latest login.
    private(set) var last: String?

    init() {}

    init(_ bytes: [UInt8]) throws(FileFailure) {
        guard let document = try? JSONParser.parse(bytes).objectValue else {
            throw FileFailure(description: "it holds no JSON object")
        }
        logins = (document["servers"]?.objectValue?.members ?? []).compactMap { member in
            guard let login = member.value.objectValue.flatMap(Login.init(stored:)) else { return nil }
            return (member.name, login)
        }
        last = document["last"]?.stringValue
    }

    var bytes: [UInt8] {
        var servers = JSONObject()
        for (url, login) in logins { servers[url] = .object(login.stored) }
        let document = JSONObject(["last": last.map { .string($0) } ?? .null, "servers": .object(servers)])
        return Array((JSONText.pretty(.object(document)) + "\n").utf8)
    }

    /// Setting a login makes its server the last one.
    subscript(url: String) -> Login? {
        get { logins.first { Self.isSame($0.url, url) }?.login }
        set {
            logins.removeAll { Self.isSame($0.url, url) }
            if let newValue {
                logins.append((url, newValue))
                last = url
            } else if let last, Self.isSame(last, url) {
                self.last = nil
            }
        }
    }

    /// Gives a login that is there other tokens; which server was the last one stays.
    mutating func renew(_ url: String, _ login: Login) {
        let last = last
        self[url] = login
        self.last = last
    }

    static func isSame(_ left: String, _ right: String) -> Bool { left.lowercased() == right.lowercased() }
}
