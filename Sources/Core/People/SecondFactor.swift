// The second factor: codes of an authenticator (RFC 6238), and recovery codes for the day when it is lost.

import Model
import Sealing
import Store
import Vaults

struct SecondFactor: Sendable {
    /// What somebody showed; it is used up when the sign-in is written down.
    enum Proof: Sendable {
        case totp(step: Int64)
        case recovery([UInt8])
    }

    static let recoveryCodeCount = 10
    private static let codeAlphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")

    let key: InstanceKey

    func seal(_ totp: TOTP, for user: UserID) throws -> [UInt8] {
        try key.seal(totp.bytes.reveal(), context: Self.context(user))
    }

    func open(_ sealed: [UInt8], of user: UserID) throws -> TOTP {
        TOTP(secret: Secret(try key.open(sealed, context: Self.context(user))))
    }

    /// What a code proves, as far as that can be said before it is used up.
    /// - Returns: `nil` where it is no code of this time. Whether a recovery code is one shows only when it is used.
    func proof(_ code: Secret<String>, of credentials: UserCredentials, at now: Timestamp) throws -> Proof? {
        let text = code.reveal().lowercased().filter { $0 != " " && $0 != "-" }
        guard text.utf8.count <= 64 else { return nil }
        if text.utf8.count == TOTP.digits, text.utf8.allSatisfy({ (48...57).contains($0) }) {
            guard let sealed = credentials.totpSecret else { return nil }
            let totp = try open(sealed, of: credentials.user.id)
            return totp.step(of: Secret(text), at: now.seconds, after: credentials.totpStep).map(Proof.totp(step:))
        }
        return .recovery(Self.digest(text, of: credentials.user.id))
    }

    /// - Returns: false where it was used before, or never was one.
    static func use(_ proof: Proof, _ evidence: SignInEvidence) throws -> Bool {
        switch proof {
        case .totp(let step): try evidence.use(totpStep: step)
        case .recovery(let digest): try evidence.use(recoveryCode: digest)
        }
    }

    /// Fresh codes of 80 bits each, such as `4xk9-w2pq-7hzm-c1vd`, and what is kept of them.
    static func recoveryCodes(for user: UserID) -> (codes: [Secret<String>], digests: [[UInt8]]) {
        var generator = SystemRandomNumberGenerator()
        let texts = (0..<recoveryCodeCount).map { _ in
            String((0..<16).map { _ in codeAlphabet[Int.random(in: 0..<32, using: &generator)] })
        }
        let shown = texts.map { text in
            Secret(
                stride(from: 0, to: 16, by: 4).map { text.dropFirst($0).prefix(4) }.joined(separator: "-"))
        }
        return (shown, texts.map { digest($0, of: user) })
    }

    /// What letters that look like digits are read as, so that a code can be typed from paper.
    private static func digest(_ text: String, of user: UserID) -> [UInt8] {
        let read = String(text.map { $0 == "o" ? "0" : $0 == "i" || $0 == "l" ? "1" : $0 })
        return Digest.sha256("recovery code of \(user.text): \(read)")
    }

    private static func context(_ user: UserID) -> String { "users/\(user.text)/totp" }
}
