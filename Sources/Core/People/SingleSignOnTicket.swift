// What has to be remembered between two steps of a sign-in. It goes along with the browser, sealed by the instance's key, so
// that whoever knocks costs no memory; only that it was used is written down.

import Crypto
import JSON
import Model
import OpenID
import SQL
import Sealing
import Store
import Vaults

struct SingleSignOnTicket: Sendable {
    /// Between our question to the provider and its answer.
    struct Question: Sendable {
        /// Seconds for which somebody may take their time at the provider.
        static let lifetime: Double = 600

        let nonce: String
        let verifier: Secret<String>
        /// The digest of what the browser that began has in a cookie.
        let browser: String
        let destination: SingleSignOnDestination
        /// Whether the person has to show again who they are.
        let isAgain: Bool
        /// Who that is, where it is known.
        let person: UserID?
        let session: SessionID?
        let askedAt: Timestamp
    }

    /// Between the end of the sign-in and the program that wants a session.
    struct Code: Sendable {
        /// Seconds.
        static let lifetime: Double = 60

        let user: UserID
        let challenge: String
        let issuer: String
        let authenticatedAt: Timestamp
        let madeAt: Timestamp
    }

    private static let purpose = "openid"
    private static let saltLength = 16

    private let key: SymmetricKey
    private let tokens: OneTimeTokenRepository

    init(key: InstanceKey, tokens: OneTimeTokenRepository) {
        self.key = SymmetricKey(data: key.derived("single sign-on").reveal())
        self.tokens = tokens
    }

    func seal(_ question: Question) throws -> String {
        var document = JSONObject([
            "nonce": .string(question.nonce), "verifier": .string(question.verifier.reveal()),
            "browser": .string(question.browser), "to": .object(question.destination.document),
            "at": .integer(question.askedAt.milliseconds),
        ])
        if question.isAgain { document["again"] = .bool(true) }
        if let person = question.person { document["person"] = .string(person.text) }
        if let session = question.session { document["session"] = .string(session.text) }
        return try seal(document, "openid/question")
    }

    func question(_ text: String) -> Question? {
        guard let document = open(text, "openid/question"), let nonce = document["nonce"]?.stringValue,
            let verifier = document["verifier"]?.stringValue, let browser = document["browser"]?.stringValue,
            let destination = document["to"]?.objectValue.flatMap(SingleSignOnDestination.init),
            let at = document["at"]?.integerValue
        else { return nil }
        return Question(
            nonce: nonce, verifier: Secret(verifier), browser: browser, destination: destination,
            isAgain: document["again"]?.boolValue ?? false,
            person: document["person"]?.stringValue.map(UserID.init(stored:)),
            session: document["session"]?.stringValue.map(SessionID.init(stored:)),
            askedAt: Timestamp(milliseconds: at))
    }

    func seal(_ code: Code) throws -> Secret<String> {
        Secret(
            try seal(
                JSONObject([
                    "user": .string(code.user.text), "challenge": .string(code.challenge),
                    "issuer": .string(code.issuer),
                    "since": .integer(code.authenticatedAt.milliseconds), "at": .integer(code.madeAt.milliseconds),
                ]), "openid/code"))
    }

    func code(_ text: Secret<String>) -> Code? {
        guard let document = open(text.reveal(), "openid/code"), let user = document["user"]?.stringValue,
            let challenge = document["challenge"]?.stringValue, let issuer = document["issuer"]?.stringValue,
            let since = document["since"]?.integerValue, let at = document["at"]?.integerValue
        else { return nil }
        return Code(
            user: UserID(stored: user), challenge: challenge, issuer: issuer,
            authenticatedAt: Timestamp(milliseconds: since), madeAt: Timestamp(milliseconds: at))
    }

    /// Writes down that a ticket was used.
    /// - Returns: false where it was before; of two at once, one gets true.
    func spend(_ text: String, until end: Timestamp, at now: Timestamp) async throws -> Bool {
        let used = OneTimeToken(
            digest: Digest.sha256("openid:\(text)"), purpose: Self.purpose, user: nil, createdAt: now, expiresAt: end)
        do {
            try await tokens.insert(used)
            return true
        } catch let error as SQLError where error.code == .constraint {
            return false
        }
    }

    private func seal(_ document: JSONObject, _ context: String) throws -> String {
        let salt = RandomToken.bytes(Self.saltLength)
        let box = try AES.GCM.seal(
            JSONWriter.write(.object(document)), using: key(salt), nonce: try Self.nonce,
            authenticating: Array(context.utf8))
        return Base64URL.encode(salt + box.ciphertext + box.tag)
    }

    private func open(_ text: String, _ context: String) -> JSONObject? {
        guard text.utf8.count <= 4096, let bytes = Base64URL.decode(text), bytes.count > Self.saltLength + 16 else {
            return nil
        }
        let (salt, sealed) = (Array(bytes.prefix(Self.saltLength)), bytes.dropFirst(Self.saltLength))
        guard
            let nonce = try? Self.nonce,
            let box = try? AES.GCM.SealedBox(
                nonce: nonce, ciphertext: sealed.dropLast(16), tag: sealed.suffix(16)),
            let document = try? AES.GCM.open(box, using: key(salt), authenticating: Array(context.utf8))
        else { return nil }
        return (try? JSONParser.parse(Array(document)))?.objectValue
    }

    /// A key for one ticket. Anybody can have tickets made, as many as they like: under one key their nonces would meet.
    private func key(_ salt: [UInt8]) -> SymmetricKey {
        SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: salt, using: key))
    }

    /// Always the same, because no key is used twice.
    private static var nonce: AES.GCM.Nonce {
        get throws { try AES.GCM.Nonce(data: [UInt8](repeating: 0, count: 12)) }
    }
}
