// Access tokens: JWTs (RFC 7519) that say only which session they belong to. Everything else is looked up.

import FoundationEssentials
import JWTKit
import Model
import Sealing

/// HS256 under a key of the instance, in jwt-kit's hands.
struct AccessToken: Sendable {
    /// Nothing of ours is longer; what is, is not worth its decoding.
    private static let lengthLimit = 2048
    /// Seconds that the clocks of two processes may be apart.
    private static let leeway = 30.0
    static let audience = "postern"
    /// The same for every process, whatever address people know it by: the key says which instance it was.
    static let issuer = "postern"

    struct Claims: JWTPayload {
        let iss: IssuerClaim
        let aud: AudienceClaim
        let sub: SubjectClaim
        let sid: String
        let iat: IssuedAtClaim
        let nbf: NotBeforeClaim
        let exp: ExpirationClaim
        let jti: IDClaim

        /// The times are judged by our own clock, in `verify`.
        func verify(using algorithm: some JWTAlgorithm) throws {}
    }

    private let keys: JWTKeyCollection
    private let lifetime: Int

    init(key: Secret<[UInt8]>, lifetime: Int) async {
        keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: key.reveal()), digestAlgorithm: .sha256)
        self.lifetime = lifetime
    }

    func make(for person: Person, at now: Timestamp) async throws -> Secret<String> {
        let issued = Date(timeIntervalSince1970: Double(now.seconds))
        let claims = Claims(
            iss: IssuerClaim(value: Self.issuer), aud: AudienceClaim(value: Self.audience),
            sub: SubjectClaim(value: person.id.text), sid: person.session.text, iat: IssuedAtClaim(value: issued),
            nbf: NotBeforeClaim(value: issued),
            exp: ExpirationClaim(value: issued.addingTimeInterval(Double(lifetime))),
            jti: IDClaim(value: RandomToken.text(16)))
        return Secret(try await keys.sign(claims))
    }

    /// The session and the user that a token names.
    /// - Returns: `nil` unless it is ours, for us, and good at this time.
    func verify(_ token: Secret<String>, at now: Timestamp) async -> (session: SessionID, user: UserID)? {
        let text = token.reveal()
        guard text.utf8.count <= Self.lengthLimit,
            // jwt-kit checks the signature by our key and asks no header how; a token that claims another way is not ours.
            let header = try? DefaultJWTParser().parse(Array(text.utf8), as: Claims.self).header, header.alg == "HS256",
            let claims = try? await keys.verify(text, as: Claims.self)
        else { return nil }
        let time = Double(now.milliseconds) / 1000
        guard claims.iss.value == Self.issuer, claims.aud.value == [Self.audience],
            claims.exp.value.timeIntervalSince1970 > time,
            claims.nbf.value.timeIntervalSince1970 <= time + Self.leeway,
            claims.iat.value.timeIntervalSince1970 <= time + Self.leeway,
            let session = SessionID(claims.sid), let user = UserID(claims.sub.value)
        else { return nil }
        return (session, user)
    }
}
