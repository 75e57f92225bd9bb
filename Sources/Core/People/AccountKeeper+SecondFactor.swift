// Setting up, and taking away, the second factor of a person's own account.

import JSON
package import Model
import SQL
package import Sealing
package import Store

extension AccountKeeper {
    /// Makes a secret that becomes the second factor once a code of it was given. A second factor that there is stays until then.
    /// - Returns: the secret in base32, and the address of the picture that an authenticator reads.
    package func beginTOTP(_ person: Person, visit: Visit) async throws -> (secret: Secret<String>, uri: Secret<String>)
    {
        let totp = TOTP.random()
        let sealed = try sessions.factor.seal(totp, for: person.id)
        _ = try await change(person, "second_factor_begun", visit) { _ in
            var change = CredentialChange()
            change.secondFactor = .candidate(sealed)
            return change
        }
        return (totp.base32, uri(totp, person.email))
    }

    /// Makes the candidate the second factor. Other sessions end, because they began without it.
    /// - Returns: recovery codes, shown this once.
    /// - Throws: `unauthorized` for a wrong code, `conflict` where nothing was begun.
    package func confirmTOTP(
        _ person: Person,
        code: Secret<String>,
        visit: Visit
    ) async throws -> [Secret<String>] {
        guard let sealed = try await credentials.find(person.id)?.totpCandidate else { throw Self.nothingBegun }
        let totp = try sessions.factor.open(sealed, of: person.id)
        let given = Secret(code.reveal().filter { $0 != " " && $0 != "-" })
        guard let step = totp.step(of: given, at: clock.now().seconds, after: nil) else {
            throw PosternError(
                .unauthorized, "the code is not one of this moment",
                fix: "Look whether the clock of the device is right, and give the code that it shows now.")
        }
        let recovery = SecondFactor.recoveryCodes(for: person.id)
        _ = try await change(person, "second_factor", visit) { now in
            guard now.totpCandidate == sealed else { throw Self.nothingBegun }
            var change = CredentialChange()
            change.secondFactor = .confirmed(sealed, step: step, recovery: recovery.digests)
            change.endReason = SessionRecord.EndReason.secondFactorChanged
            change.keeping = person.session
            // They just showed both.
            if person.method == .password { change.method = .secondFactor }
            return change
        }
        sessions.tell(person.id, .secondFactorAdded, from: visit.address)
        return recovery.codes
    }

    /// Takes the second factor and the recovery codes away. Other sessions end.
    package func removeTOTP(_ person: Person, visit: Visit) async throws {
        _ = try await change(person, "second_factor_removed", visit) { _ in
            var change = CredentialChange()
            change.secondFactor = CredentialChange.SecondFactor.none
            change.endReason = SessionRecord.EndReason.secondFactorChanged
            change.keeping = person.session
            return change
        }
        sessions.tell(person.id, .secondFactorRemoved, from: visit.address)
    }

    /// Recovery codes in place of those that there are.
    /// - Throws: `conflict` where there is no second factor.
    package func newRecoveryCodes(_ person: Person, visit: Visit) async throws -> [Secret<String>] {
        let recovery = SecondFactor.recoveryCodes(for: person.id)
        _ = try await change(person, "recovery_codes", visit) { now in
            guard now.totpSecret != nil else {
                throw PosternError(
                    .conflict, "the account has no second factor", fix: "Set one up first (POST /auth/totp).")
            }
            var change = CredentialChange()
            change.secondFactor = .recovery(recovery.digests)
            return change
        }
        sessions.tell(person.id, .recoveryCodesReplaced, from: visit.address)
        return recovery.codes
    }

    /// Recovery codes that were not used yet.
    package func recoveryCodesLeft(of id: UserID) async throws -> Int {
        try await credentials.recoveryCodesLeft(of: id)
    }

    /// Takes somebody's second factor away who lost it, codes and all. All their sessions end.
    /// - Returns: `nil` where there is no such user.
    package func removeSecondFactor(of id: UserID, audit: @escaping AuditMaker) async throws -> User? {
        let user = try await credentials.change(id, at: clock.now()) { before, after in
            audit(id.text, .object(before.document), .object(after.document))
        } _: { _ in
            var change = CredentialChange()
            change.secondFactor = CredentialChange.SecondFactor.none
            change.endReason = SessionRecord.EndReason.secondFactorChanged
            return change
        }
        sessions.forget([id])
        if user != nil { sessions.tell(id, .secondFactorRemoved, from: nil) }
        return user
    }

    private func change(
        _ person: Person,
        _ name: String,
        _ visit: Visit,
        _ judge: @escaping @Sendable (UserCredentials) throws -> CredentialChange
    ) async throws -> User {
        let records = records
        let user = try await credentials.change(person.id, at: clock.now()) { _, _ in
            records.entry(.accountSecure, by: visit.actor(person), of: person.id.text, ["change": .string(name)])
        } _: { now in
            guard now.user.isActive else { throw SessionKeeper.badSession }
            return try judge(now)
        }
        sessions.forget([person.id])
        guard let user else { throw SessionKeeper.badSession }
        return user
    }

    /// As authenticators read it (otpauth, "Key Uri Format").
    private func uri(_ totp: TOTP, _ email: String) -> Secret<String> {
        let issuer = Self.escaped(configuration.issuerName)
        return Secret(
            "otpauth://totp/\(issuer):\(Self.escaped(email))?secret=\(totp.base32.reveal())&issuer=\(issuer)"
                + "&algorithm=SHA1&digits=\(TOTP.digits)&period=\(TOTP.period)")
    }

    /// RFC 3986 section 2.3: all but unreserved characters.
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                String(UnicodeScalar(byte))
            default: "%" + Digest.hexadecimal([byte]).uppercased()
            }
        }.joined()
    }

    private static let nothingBegun = PosternError(
        .conflict, "no second factor is being set up", fix: "Begin with POST /auth/totp.")
}
