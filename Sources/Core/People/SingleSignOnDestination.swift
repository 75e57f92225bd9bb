// Where somebody goes once they are signed in: to a page of ours, or to a program on their own machine. Nowhere else.

import JSON
import OpenID
import WebClient

package enum SingleSignOnDestination: Hashable, Sendable {
    /// A path of this instance.
    case page(String)
    case program(Loopback)

    /// A program that waits on this machine's loopback (RFC 8252 §7.3), and proves that it asked (RFC 7636).
    package struct Loopback: Hashable, Sendable {
        package let redirect: String
        let challenge: String
        let state: String?

        /// - Returns: `nil` for any address but `http://127.0.0.1:PORT/…` and `http://[::1]:PORT/…`, and for a challenge or a
        ///   state that cannot be one.
        package init?(redirect: String, challenge: String, state: String?) {
            guard Self.isLoopback(redirect), ProofKey.isChallenge(challenge), state.map(Self.isState) ?? true else {
                return nil
            }
            self.redirect = redirect
            self.challenge = challenge
            self.state = state
        }

        /// A name is no address: where `localhost` leads, others may have a say in (RFC 8252 §8.3).
        private static func isLoopback(_ text: String) -> Bool {
            guard text.utf8.count <= 200,
                let host = ["http://127.0.0.1:", "http://[::1]:"].first(where: text.hasPrefix)
            else { return false }
            let rest = text.dropFirst(host.count)
            let port = rest.prefix { $0 != "/" }
            guard (1...5).contains(port.utf8.count), port.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(port), (1...65_535).contains(number)
            else { return false }
            return rest.dropFirst(port.count).utf8.allSatisfy { $0 == UInt8(ascii: "/") || isPlain($0) }
        }

        private static func isState(_ text: String) -> Bool {
            (1...200).contains(text.utf8.count) && text.utf8.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "~") }
        }

        private static func isPlain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                true
            default: false
            }
        }

        /// The address with an answer in it.
        func url(_ fields: KeyValuePairs<String, String>) -> String {
            var query = fields.map { "\($0.key)=\(WebRequest.escaped($0.value))" }
            if let state { query.append("state=\(state)") }
            return "\(redirect)?\(query.joined(separator: "&"))"
        }
    }

    /// - Returns: `nil` for what a browser may take for another site's address.
    package static func page(checking path: String) -> SingleSignOnDestination? {
        let second = path.dropFirst().first
        guard path.first == "/", second != "/", path.utf8.count <= 512,
            path.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") })
        else { return nil }
        return .page(path)
    }

    var document: JSONObject {
        switch self {
        case .page(let path): JSONObject(["page": .string(path)])
        case .program(let program):
            JSONObject([
                "redirect": .string(program.redirect), "challenge": .string(program.challenge),
                "state": program.state.map { .string($0) } ?? .null,
            ])
        }
    }

    init?(_ document: JSONObject) {
        if let page = document["page"]?.stringValue, let destination = Self.page(checking: page) {
            self = destination
        } else if let redirect = document["redirect"]?.stringValue, let challenge = document["challenge"]?.stringValue,
            let program = Loopback(redirect: redirect, challenge: challenge, state: document["state"]?.stringValue)
        {
            self = .program(program)
        } else {
            return nil
        }
    }
}
